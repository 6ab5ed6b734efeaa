//! Slows down guessing of passwords: counts failed sign-ins in memory.
//!
//! An address may fail so often on one account, and so often in all. An account that fails too often from anywhere is
//! guarded more strictly, but an address that did not fail on it yet may always try, so nobody can lock out an
//! account's owner from elsewhere.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use herald_acl::Username;

use crate::address::network;

/// How long a failure counts, from the first one of its window.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Failures of one address on one account.
const PER_PAIR: u32 = 10;
/// Failures of one address on all accounts: many users may share one behind a NAT.
const PER_ADDRESS: u32 = 100;
/// Failures on one account from all addresses, after which an address gets one try a window.
const PER_ACCOUNT: u32 = 30;
/// Windows kept; when full, the tenth that ends first is forgotten.
const CAPACITY: usize = 10_000;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Account(Username),
    Pair(IpAddr, Username),
}

#[derive(Clone, Copy)]
struct Window {
    failures: u32,
    ends: Instant,
}

/// One sign-in: where it comes from and whom it is for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Attempt {
    address: IpAddr,
    account: Option<Username>,
}

impl Attempt {
    /// `account` is `None` when the given name cannot be anyone's.
    pub(crate) fn new(address: IpAddr, account: Option<Username>) -> Self {
        Self {
            address: network(address),
            account,
        }
    }

    /// What counts as its address.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        let account = self.account.clone();
        let pair = self
            .account
            .clone()
            .map(|name| Key::Pair(self.address, name));
        std::iter::once(Key::Address(self.address))
            .chain(account.map(Key::Account))
            .chain(pair)
    }
}

/// The failed sign-ins of the last minutes.
#[derive(Default)]
pub(crate) struct Throttle {
    windows: Mutex<HashMap<Key, Window>>,
}

impl Throttle {
    /// Refuses a sign-in after too many failures, and says how long to wait.
    pub(crate) fn check(&self, attempt: &Attempt, now: Instant) -> Result<(), Duration> {
        match refused_until(&self.lock(), attempt, now) {
            Some(ends) => Err(ends - now),
            None => Ok(()),
        }
    }

    /// Counts a sign-in that failed.
    pub(crate) fn record_failure(&self, attempt: &Attempt, now: Instant) {
        let mut windows = self.lock();
        for key in attempt.keys() {
            make_room(&mut windows, &key, now);
            let new = Window {
                failures: 0,
                ends: now + WINDOW,
            };
            let window = windows.entry(key).or_insert(new);
            if window.ends <= now {
                *window = new;
            }
            window.failures += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Window>> {
        // Counters stay usable whatever panicked while they were held.
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused_until(
    windows: &HashMap<Key, Window>,
    attempt: &Attempt,
    now: Instant,
) -> Option<Instant> {
    let live = |key: &Key| windows.get(key).filter(|window| window.ends > now);
    let over = |key: &Key, limit: u32| {
        live(key)
            .filter(|window| window.failures >= limit)
            .map(|window| window.ends)
    };
    if let Some(ends) = over(&Key::Address(attempt.address), PER_ADDRESS) {
        return Some(ends);
    }
    let account = attempt.account.clone()?;
    let guarded = over(&Key::Account(account.clone()), PER_ACCOUNT).is_some();
    let limit = if guarded { 1 } else { PER_PAIR };
    over(&Key::Pair(attempt.address, account), limit)
}

fn make_room(windows: &mut HashMap<Key, Window>, key: &Key, now: Instant) {
    if windows.len() < CAPACITY || windows.contains_key(key) {
        return;
    }
    windows.retain(|_, window| window.ends > now);
    if windows.len() >= CAPACITY {
        let mut ends: Vec<Instant> = windows.values().map(|window| window.ends).collect();
        let (_, &mut first_tenth, _) = ends.select_nth_unstable(CAPACITY / 10);
        windows.retain(|_, window| window.ends > first_tenth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(address: &str, account: &str) -> Attempt {
        Attempt::new(
            address.parse().unwrap(),
            Some(Username::parse(account).unwrap()),
        )
    }

    fn fail(throttle: &Throttle, attempt: &Attempt, times: u32, now: Instant) {
        for _ in 0..times {
            throttle.record_failure(attempt, now);
        }
    }

    #[test]
    fn the_eleventh_failure_of_an_address_on_an_account_is_refused_until_the_window_ends() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let mallory = attempt("192.0.2.1", "alice");
        fail(&throttle, &mallory, PER_PAIR - 1, start);
        assert!(throttle.check(&mallory, start).is_ok());
        fail(&throttle, &mallory, 1, start);
        let later = start + Duration::from_secs(60);
        assert_eq!(
            throttle.check(&mallory, later),
            Err(WINDOW - Duration::from_secs(60))
        );
        assert!(throttle.check(&mallory, start + WINDOW).is_ok());
    }

    #[test]
    fn an_address_is_refused_after_failures_on_many_accounts() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for n in 0..PER_ADDRESS {
            fail(&throttle, &attempt("192.0.2.1", &format!("u{n}")), 1, now);
        }
        assert!(throttle.check(&attempt("192.0.2.1", "alice"), now).is_err());
        assert!(
            throttle
                .check(&Attempt::new("192.0.2.1".parse().unwrap(), None), now)
                .is_err()
        );
        assert!(throttle.check(&attempt("192.0.2.2", "alice"), now).is_ok());
    }

    #[test]
    fn an_account_under_attack_can_still_be_tried_from_a_fresh_address() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for n in 0..PER_ACCOUNT {
            fail(
                &throttle,
                &attempt(&format!("198.51.100.{n}"), "alice"),
                1,
                now,
            );
        }
        let repeated = attempt("198.51.100.1", "alice");
        assert!(throttle.check(&repeated, now).is_err());
        assert!(throttle.check(&attempt("192.0.2.1", "alice"), now).is_ok());
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let throttle = Throttle::default();
        let now = Instant::now();
        fail(&throttle, &attempt("2001:db8::1", "alice"), PER_PAIR, now);
        assert!(
            throttle
                .check(&attempt("2001:db8::2", "alice"), now)
                .is_err()
        );
        assert!(
            throttle
                .check(&attempt("2001:db8:0:1::1", "alice"), now)
                .is_ok()
        );
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for n in 0..20_000u32 {
            let address = IpAddr::from(n.to_be_bytes());
            let now = start + Duration::from_micros(n.into());
            let alice = Username::parse("alice").unwrap();
            throttle.record_failure(&Attempt::new(address, Some(alice)), now);
        }
        assert!(throttle.lock().len() <= CAPACITY);
    }
}
