//! Slows down guessing of passwords: counts failed sign-ins in memory, and in the database for all servers that share it.
//!
//! What counts is an address on an account. Failures of an address on many accounts, and on an account from many addresses,
//! leave fewer tries to each pair of them, and cost the address time. A pair that signed in lately is exempt from that, and
//! nobody is locked out by what others do to other accounts. A browser that signed in to the account before has a count of its
//! own: see [`crate::accounts::known_browsers`].

mod attempt;
mod shared;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use herald_acl::Username;
use herald_store::SIGN_IN_WINDOW as WINDOW;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use attempt::Key;
pub(crate) use attempt::{AccountKey, Attempt};

/// Failures of one address on one account; of a browser that signed in to the account before; and of a signed-in user who
/// is asked for the password again.
const PER_PAIR: u32 = 10;
/// Failures of one address on all accounts, after which it has [`GUARDED`] on each and is slow: many users may share one
/// behind a NAT or a proxy.
const PER_ADDRESS: u32 = 100;
/// Failures on one account from all addresses, after which an address has [`GUARDED`] there.
const PER_ACCOUNT: u32 = 30;
/// The same, after which only those who were right of late may try.
const PER_ACCOUNT_AT_MOST: u32 = 300;
/// Failures of an address on an account while either is guarded.
const GUARDED: u32 = 2;
/// How long each try of a slow address takes.
const SLOW: Duration = Duration::from_secs(1);
/// How long a password that was right counts.
const RIGHT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How much later it has to count before it is told to other servers again.
const RIGHT_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);
/// How many ask the database at once, so that the rest of the server has connections left.
const LEARN_AT_ONCE: usize = 2;
/// Windows kept, and pairs that were right; when full, the tenth that ends first is forgotten.
const CAPACITY: usize = 10_000;

#[derive(Clone, Copy)]
struct Window {
    failures: u32,
    ends: Instant,
}

/// How a sign-in that is not refused goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptSpeed {
    /// Without waiting for others of its address: it was right at this account of late, from there or in this browser, or is
    /// signed in.
    Trusted,
    /// Behind others of its address.
    Usual,
    /// The same, and each of them takes so long.
    Slow(Duration),
}

/// The failed sign-ins of the last minutes, and those that were right.
pub(crate) struct Throttle {
    failures: Mutex<Failures>,
    /// Who asks the database.
    learning: Semaphore,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            failures: Mutex::default(),
            learning: Semaphore::new(LEARN_AT_ONCE),
        }
    }
}

#[derive(Default)]
struct Failures {
    windows: HashMap<Key, Window>,
    /// Where the password was right.
    right: HashMap<(IpAddr, Username), Right>,
}

#[derive(Clone, Copy)]
struct Right {
    /// Until when it counts.
    until: Instant,
    /// Until when it counts on other servers, as far as this one knows.
    told_until: Option<Instant>,
}

impl Throttle {
    /// Refuses a sign-in after too many failures, and says how long to wait.
    pub(crate) fn check(&self, attempt: &Attempt, now: Instant) -> Result<AttemptSpeed, Duration> {
        let failures = self.failures.lock();
        match failures.refused_until(attempt, now) {
            Some(ends) => Err(ends - now),
            None => Ok(failures.speed(attempt, now)),
        }
    }

    /// Counts a sign-in that failed.
    pub(crate) fn record_failure(&self, attempt: &Attempt, now: Instant) {
        let mut failures = self.failures.lock();
        for key in attempt.keys() {
            make_room(&mut failures.windows, &key, now, |window| window.ends);
            let new = Window {
                failures: 0,
                ends: now + WINDOW,
            };
            let window = failures.windows.entry(key).or_insert(new);
            if window.ends <= now {
                *window = new;
            }
            window.failures += 1;
        }
    }

    /// Refuses a sign-in that has failed too often by what is known here, whatever other servers know.
    pub(crate) fn check_own(&self, attempt: &Attempt, now: Instant) -> Result<(), Duration> {
        let over = self.failures.lock().over(&attempt.own_key(), PER_PAIR, now);
        over.map_or(Ok(()), |ends| Err(ends - now))
    }

    /// Remembers a sign-in that was right. Returns whether other servers are to be told, which is so once a day.
    pub(crate) fn record_success(&self, attempt: &Attempt, now: Instant) -> bool {
        let Some(pair) = attempt.on() else {
            return false;
        };
        let mut failures = self.failures.lock();
        let told_until = failures.right.get(&pair).and_then(|own| own.told_until);
        let until = now + RIGHT;
        failures.right(pair, Right { until, told_until }, now);
        told_until.is_none_or(|told| told + RIGHT_AGAIN <= until)
    }

    /// Other servers have been told that the sign-in at `now` was right.
    pub(crate) fn success_told(&self, attempt: &Attempt, now: Instant) {
        if let Some(pair) = attempt.on() {
            let until = now + RIGHT;
            let told_until = Some(until);
            let mut failures = self.failures.lock();
            failures.right(pair, Right { until, told_until }, now);
        }
    }
}

impl Failures {
    fn right(&mut self, pair: (IpAddr, Username), right: Right, now: Instant) {
        make_room(&mut self.right, &pair, now, |right| right.until);
        self.right.insert(pair, right);
    }

    fn over(&self, key: &Key, limit: u32, now: Instant) -> Option<Instant> {
        let window = self.windows.get(key)?;
        (window.ends > now && window.failures >= limit).then_some(window.ends)
    }

    fn was_right(&self, attempt: &Attempt, now: Instant) -> bool {
        if !attempt.is_stranger() {
            return true;
        }
        let until = attempt.on().and_then(|on| self.right.get(&on));
        until.is_some_and(|right| right.until > now)
    }

    fn refused_until(&self, attempt: &Attempt, now: Instant) -> Option<Instant> {
        let pair = attempt.own_key();
        if self.was_right(attempt, now) {
            return self.over(&pair, PER_PAIR, now);
        }
        let account = attempt.account().cloned().map(Key::Account);
        if let Some(account) = &account
            && let Some(ends) = self.over(account, PER_ACCOUNT_AT_MOST, now)
        {
            return Some(ends);
        }
        let address = Key::Address(attempt.address());
        let guarded = self.over(&address, PER_ADDRESS, now).is_some()
            || account.is_some_and(|account| self.over(&account, PER_ACCOUNT, now).is_some());
        let limit = if guarded { GUARDED } else { PER_PAIR };
        self.over(&pair, limit, now)
    }

    fn speed(&self, attempt: &Attempt, now: Instant) -> AttemptSpeed {
        let address = Key::Address(attempt.address());
        if self.was_right(attempt, now) {
            AttemptSpeed::Trusted
        } else if self.over(&address, PER_ADDRESS, now).is_some() {
            AttemptSpeed::Slow(SLOW)
        } else {
            AttemptSpeed::Usual
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
