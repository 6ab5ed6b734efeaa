//! Slows down guessing of passwords: counts failed sign-ins in memory.
//!
//! What counts is an address on an account. Failures of an address on many accounts, and on an account from many addresses,
//! leave fewer tries to each pair of them, and cost the address time; but whoever was right at an account from an address of
//! late is told apart from those who guess there, and nobody is locked out by what others do to other accounts.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use herald_acl::Username;
use parking_lot::Mutex;

use crate::address::network;

/// How long a failure counts, from the first one of its window.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Failures of one address on one account, and of who is signed in and asked for the password again.
const PER_PAIR: u32 = 10;
/// Failures of one address on all accounts, after which it has [`GUARDED`] on each and is slow: many users may share one
/// behind a NAT or a proxy.
const PER_ADDRESS: u32 = 100;
/// Failures on one account from all addresses, after which an address has [`GUARDED`] there.
const PER_ACCOUNT: u32 = 30;
/// The same, after which only those may try who were right of late.
const PER_ACCOUNT_AT_MOST: u32 = 300;
/// Failures of an address on an account while either is guarded.
const GUARDED: u32 = 2;
/// How long each try of a slow address takes.
const SLOW: Duration = Duration::from_secs(1);
/// How long it counts that somebody was right.
const RIGHT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Windows kept, and pairs that were right; when full, the tenth that ends first is forgotten.
const CAPACITY: usize = 10_000;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Account(Username),
    /// Of an address on an account, or on names that cannot be anyone's.
    Pair(IpAddr, Option<Username>),
    /// Of who is signed in.
    SignedIn(Username),
}

#[derive(Clone, Copy)]
struct Window {
    failures: u32,
    ends: Instant,
}

/// Who shows a password.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    /// Anybody.
    Stranger,
    /// Who is signed in to the account: what strangers do does not count.
    SignedIn,
}

/// One sign-in: where it comes from and whom it is for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Attempt {
    address: IpAddr,
    account: Option<Username>,
    who: Who,
}

impl Attempt {
    /// `account` is `None` when the given name cannot be anyone's.
    pub(crate) fn new(address: IpAddr, account: Option<Username>) -> Self {
        Self {
            address: network(address),
            account,
            who: Who::Stranger,
        }
    }

    /// The password of `account` is asked for again of who is signed in to it.
    pub(crate) fn again(address: IpAddr, account: Username) -> Self {
        Self {
            who: Who::SignedIn,
            ..Self::new(address, Some(account))
        }
    }

    /// What counts as its address.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    fn pair(&self) -> Key {
        match (&self.account, self.who) {
            (Some(account), Who::SignedIn) => Key::SignedIn(account.clone()),
            (account, _) => Key::Pair(self.address, account.clone()),
        }
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        let stranger = self.who == Who::Stranger;
        let account = self.account.clone().filter(|_| stranger);
        let address = stranger.then_some(Key::Address(self.address));
        std::iter::once(self.pair())
            .chain(address)
            .chain(account.map(Key::Account))
    }
}

/// How a sign-in that is not refused goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Without waiting for others of its address: it was right at this account of late, or is signed in.
    Trusted,
    /// In the line of its address.
    Usual,
    /// The same, and each in the line takes so long.
    Slow(Duration),
}

/// The failed sign-ins of the last minutes, and those that were right.
#[derive(Default)]
pub(crate) struct Throttle {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    windows: HashMap<Key, Window>,
    /// Until when it counts that the password was right.
    right: HashMap<(IpAddr, Username), Instant>,
}

impl Throttle {
    /// Refuses a sign-in after too many failures, and says how long to wait.
    pub(crate) fn check(&self, attempt: &Attempt, now: Instant) -> Result<Pace, Duration> {
        let state = self.state.lock();
        match state.refused_until(attempt, now) {
            Some(ends) => Err(ends - now),
            None => Ok(state.pace(attempt, now)),
        }
    }

    /// Counts a sign-in that failed.
    pub(crate) fn record_failure(&self, attempt: &Attempt, now: Instant) {
        let mut state = self.state.lock();
        for key in attempt.keys() {
            make_room(&mut state.windows, &key, now, |window| window.ends);
            let new = Window {
                failures: 0,
                ends: now + WINDOW,
            };
            let window = state.windows.entry(key).or_insert(new);
            if window.ends <= now {
                *window = new;
            }
            window.failures += 1;
        }
    }

    /// Remembers a sign-in that was right.
    pub(crate) fn record_success(&self, attempt: &Attempt, now: Instant) {
        let Some(account) = attempt.account.clone() else {
            return;
        };
        let mut state = self.state.lock();
        let pair = (attempt.address, account);
        make_room(&mut state.right, &pair, now, |ends| *ends);
        state.right.insert(pair, now + RIGHT);
    }
}

impl State {
    fn over(&self, key: &Key, limit: u32, now: Instant) -> Option<Instant> {
        let window = self.windows.get(key)?;
        (window.ends > now && window.failures >= limit).then_some(window.ends)
    }

    fn was_right(&self, attempt: &Attempt, now: Instant) -> bool {
        let Some(account) = attempt.account.clone() else {
            return false;
        };
        let until = self.right.get(&(attempt.address, account));
        attempt.who == Who::SignedIn || until.is_some_and(|until| *until > now)
    }

    fn refused_until(&self, attempt: &Attempt, now: Instant) -> Option<Instant> {
        let pair = attempt.pair();
        if self.was_right(attempt, now) {
            return self.over(&pair, PER_PAIR, now);
        }
        let account = attempt.account.clone().map(Key::Account);
        if let Some(account) = &account
            && let Some(ends) = self.over(account, PER_ACCOUNT_AT_MOST, now)
        {
            return Some(ends);
        }
        let address = Key::Address(attempt.address);
        let guarded = self.over(&address, PER_ADDRESS, now).is_some()
            || account.is_some_and(|account| self.over(&account, PER_ACCOUNT, now).is_some());
        let limit = if guarded { GUARDED } else { PER_PAIR };
        self.over(&pair, limit, now)
    }

    fn pace(&self, attempt: &Attempt, now: Instant) -> Pace {
        let address = Key::Address(attempt.address);
        if self.was_right(attempt, now) {
            Pace::Trusted
        } else if self.over(&address, PER_ADDRESS, now).is_some() {
            Pace::Slow(SLOW)
        } else {
            Pace::Usual
        }
    }
}

fn make_room<K: Clone + Eq + std::hash::Hash, V>(
    kept: &mut HashMap<K, V>,
    key: &K,
    now: Instant,
    ends: impl Fn(&V) -> Instant,
) {
    if kept.len() < CAPACITY || kept.contains_key(key) {
        return;
    }
    kept.retain(|_, value| ends(value) > now);
    if kept.len() >= CAPACITY {
        let mut all: Vec<Instant> = kept.values().map(&ends).collect();
        let (_, &mut first_tenth, _) = all.select_nth_unstable(CAPACITY / 10);
        kept.retain(|_, value| ends(value) > first_tenth);
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

    /// A visitor who guesses at very many accounts.
    fn spray(throttle: &Throttle, address: &str, now: Instant) {
        for n in 0..PER_ADDRESS {
            fail(throttle, &attempt(address, &format!("u{n}")), 1, now);
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
        // Names that cannot be anyone's count as one account.
        let nobody = Attempt::new("192.0.2.1".parse().unwrap(), None);
        fail(&throttle, &nobody, PER_PAIR, start);
        assert!(throttle.check(&nobody, start).is_err());
    }

    #[test]
    fn a_visitor_who_guesses_slows_down_an_address_and_locks_out_nobody_else_there() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let known = attempt("192.0.2.1", "alice");
        throttle.record_success(&known, now);
        spray(&throttle, "192.0.2.1", now);
        assert_eq!(throttle.check(&known, now), Ok(Pace::Trusted));
        let new = attempt("192.0.2.1", "bob");
        assert_eq!(throttle.check(&new, now), Ok(Pace::Slow(SLOW)));
        // Who mistypes has another try there, and a guesser no more than that.
        fail(&throttle, &new, 1, now);
        assert!(throttle.check(&new, now).is_ok());
        fail(&throttle, &new, 1, now);
        assert!(throttle.check(&new, now).is_err());
        let elsewhere = attempt("192.0.2.2", "bob");
        assert_eq!(throttle.check(&elsewhere, now), Ok(Pace::Usual));
    }

    #[test]
    fn what_strangers_do_does_not_stop_who_is_signed_in() {
        let throttle = Throttle::default();
        let now = Instant::now();
        spray(&throttle, "192.0.2.1", now);
        fail(&throttle, &attempt("192.0.2.1", "alice"), PER_PAIR, now);
        let alice = Username::parse("alice").unwrap();
        let again = Attempt::again("192.0.2.1".parse().unwrap(), alice);
        assert_eq!(throttle.check(&again, now), Ok(Pace::Trusted));
        // Who found a browser that is signed in does not guess the password with it.
        fail(&throttle, &again, PER_PAIR, now);
        assert!(throttle.check(&again, now).is_err());
        // Nor keeps the owner out.
        assert!(throttle.check(&attempt("192.0.2.9", "alice"), now).is_ok());
    }

    #[test]
    fn an_account_under_attack_has_few_tries_and_lets_in_who_was_right_from_there() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let owner = attempt("192.0.2.1", "alice");
        throttle.record_success(&owner, now);
        let from = |n: u32| attempt(&format!("198.51.{}.{}", n / 200, n % 200), "alice");
        for n in 0..PER_ACCOUNT {
            fail(&throttle, &from(n), 1, now);
        }
        fail(&throttle, &from(0), 1, now);
        assert!(throttle.check(&from(0), now).is_err());
        assert!(throttle.check(&attempt("192.0.2.7", "alice"), now).is_ok());
        // Many addresses together have no more than so many.
        let tried = (0..2000).filter(|n| {
            let attempt = from(PER_ACCOUNT + n);
            let may = throttle.check(&attempt, now).is_ok();
            if may {
                throttle.record_failure(&attempt, now);
            }
            may
        });
        assert!(tried.count() <= PER_ACCOUNT_AT_MOST as usize);
        assert!(throttle.check(&attempt("192.0.2.7", "alice"), now).is_err());
        assert_eq!(throttle.check(&owner, now), Ok(Pace::Trusted));
        let later = now + RIGHT;
        spray(&throttle, "192.0.2.1", later);
        assert_eq!(throttle.check(&owner, later), Ok(Pace::Slow(SLOW)));
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
            let attempt = Attempt::new(address, Some(alice));
            throttle.record_failure(&attempt, now);
            throttle.record_success(&attempt, now);
        }
        let state = throttle.state.lock();
        assert!(state.windows.len() <= CAPACITY && state.right.len() <= CAPACITY);
    }
}
