use super::*;
use herald_store::{SignInCount, SignInKey, Timestamp};

use crate::accounts::known_browsers::BrowserId;

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
    assert_eq!(throttle.check(&known, now), Ok(AttemptSpeed::Trusted));
    let new = attempt("192.0.2.1", "bob");
    assert_eq!(throttle.check(&new, now), Ok(AttemptSpeed::Slow(SLOW)));
    // Who mistypes has another try there, and a guesser no more than that.
    fail(&throttle, &new, 1, now);
    assert!(throttle.check(&new, now).is_ok());
    fail(&throttle, &new, 1, now);
    assert!(throttle.check(&new, now).is_err());
    let elsewhere = attempt("192.0.2.2", "bob");
    assert_eq!(throttle.check(&elsewhere, now), Ok(AttemptSpeed::Usual));
}

#[test]
fn what_strangers_do_does_not_stop_who_is_signed_in() {
    let throttle = Throttle::default();
    let now = Instant::now();
    spray(&throttle, "192.0.2.1", now);
    fail(&throttle, &attempt("192.0.2.1", "alice"), PER_PAIR, now);
    let alice = Username::parse("alice").unwrap();
    let again = Attempt::again("192.0.2.1".parse().unwrap(), alice);
    assert_eq!(throttle.check(&again, now), Ok(AttemptSpeed::Trusted));
    // Who found a browser that is signed in does not guess the password with it.
    fail(&throttle, &again, PER_PAIR, now);
    assert!(throttle.check(&again, now).is_err());
    // Nor keeps the owner out.
    assert!(throttle.check(&attempt("192.0.2.9", "alice"), now).is_ok());
}

#[test]
fn a_known_browser_has_a_count_of_its_own_and_waits_behind_no_guess() {
    let throttle = Throttle::default();
    let now = Instant::now();
    let alice = || Username::parse("alice").unwrap();
    let by = |address: &str, browser| {
        let browser = BrowserId::of_test(browser);
        Attempt::by_known_browser(address.parse().unwrap(), alice(), browser)
    };
    let own = by("192.0.2.1", 1);
    spray(&throttle, "192.0.2.1", now);
    for n in 0..PER_ACCOUNT_AT_MOST {
        fail(
            &throttle,
            &attempt(&format!("198.51.{}.{}", n / 200, n % 200), "alice"),
            1,
            now,
        );
    }
    fail(&throttle, &attempt("192.0.2.1", "alice"), PER_PAIR, now);
    assert_eq!(throttle.check(&own, now), Ok(AttemptSpeed::Trusted));
    // Wherever it is, and however many are stolen: each has its own, and takes none from others.
    fail(&throttle, &by("192.0.2.1", 2), PER_PAIR - 1, now);
    fail(&throttle, &by("203.0.113.5", 2), 1, now);
    assert_eq!(throttle.check(&by("192.0.2.1", 2), now), Err(WINDOW));
    assert_eq!(throttle.check(&own, now), Ok(AttemptSpeed::Trusted));
    assert!(own.account_key() == by("192.0.2.1", 2).account_key());
    assert!(own.account_key() != attempt("192.0.2.1", "alice").account_key());
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
    assert_eq!(throttle.check(&owner, now), Ok(AttemptSpeed::Trusted));
    let later = now + RIGHT;
    spray(&throttle, "192.0.2.1", later);
    assert_eq!(throttle.check(&owner, later), Ok(AttemptSpeed::Slow(SLOW)));
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
    let failures = throttle.failures.lock();
    assert!(failures.windows.len() <= CAPACITY && failures.right.len() <= CAPACITY);
}

#[test]
fn what_other_servers_count_counts_here() {
    let throttle = Throttle::default();
    let (now, read_at) = (Instant::now(), Timestamp::from_millis(1_000_000));
    let mallory = attempt("192.0.2.1", "alice");
    let count = |key: SignInKey, failures, left| SignInCount {
        key,
        failures,
        ends_at: read_at + left,
    };
    let minute = Duration::from_secs(60);
    let pair = mallory.own_key().shared();
    throttle.take(
        &mallory,
        &[count(pair.clone(), PER_PAIR, minute)],
        now,
        read_at,
    );
    assert_eq!(throttle.check(&mallory, now), Err(minute));
    assert!(throttle.check(&mallory, now + minute).is_ok());
    // What is known here and not there stays, and what was right there is known here.
    fail(&throttle, &mallory, PER_PAIR, now + minute);
    throttle.take(&mallory, &[count(pair, 1, minute)], now + minute, read_at);
    assert!(throttle.check(&mallory, now + minute).is_err());
    let owner = attempt("192.0.2.9", "alice");
    let right = owner.shared_when_right().unwrap();
    throttle.take(&owner, &[count(right, 0, RIGHT)], now, read_at);
    assert_eq!(throttle.check(&owner, now), Ok(AttemptSpeed::Trusted));
    assert!(!throttle.record_success(&owner, now), "it is told already");
    let later = now + 2 * RIGHT_AGAIN;
    for _ in 0..2 {
        assert!(throttle.record_success(&owner, later), "not told yet");
    }
    throttle.success_told(&owner, later);
    assert!(!throttle.record_success(&owner, later));
    // No window is longer than it can be here, whatever clock made it.
    let bob = attempt("192.0.2.3", "bob");
    let own = bob.own_key().shared();
    throttle.take(&bob, &[count(own, PER_PAIR, RIGHT)], now, read_at);
    assert_eq!(throttle.check_own(&bob, now), Err(WINDOW));
    // Each of them is counted by a key of its own.
    let keys = [mallory.clone(), owner].map(|attempt| {
        let keys = attempt.keys().map(|key| key.shared());
        keys.collect::<Vec<_>>()
    });
    assert_eq!(keys[0][2], keys[1][2], "the account");
    let distinct: std::collections::BTreeSet<_> = keys.iter().flatten().collect();
    assert_eq!(distinct.len(), 5);
}
