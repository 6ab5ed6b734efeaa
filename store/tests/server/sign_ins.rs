//! What is counted of sign-ins, for all servers of a database.

use herald_store::{SignInKey, Store};

use crate::common::{Db, at};

/// How long failures count, in ms.
const WINDOW: i64 = 5 * 60 * 1000;

fn key(n: u8) -> SignInKey {
    SignInKey::from_digest([n; 32])
}

/// Failures by each of these keys, and their end as [`at`] takes it.
async fn counts(store: &Store, keys: &[u8], now: i64) -> Vec<Option<(u32, i64)>> {
    let wanted: Vec<_> = keys.iter().map(|n| key(*n)).collect();
    let counts = store.sign_in_counts(&wanted, at(now)).await.unwrap();
    let of = |key: &SignInKey| counts.iter().find(|count| count.key == *key);
    let found = wanted.iter().map(|key| {
        let count = of(key)?;
        Some((count.failures, count.ends_at.as_millis() - at(0).as_millis()))
    });
    found.collect()
}

#[tokio::test]
async fn failures_count_until_the_window_of_the_first_one_ends() {
    let db = Db::new().await;
    let store = &db.store;
    let fail = async |keys: &[u8], now| {
        let keys = keys.iter().map(|n| key(*n)).collect();
        store.count_failed_sign_in(keys, at(now)).await.unwrap();
    };
    fail(&[2, 1], 1000).await;
    fail(&[1, 3], 2000).await;
    let first = Some((2, 1000 + WINDOW));
    let other = Some((1, 2000 + WINDOW));
    let one = Some((1, 1000 + WINDOW));
    assert_eq!(counts(store, &[1, 2, 3, 4], 3000).await, [first, one, other, None]);
    assert_eq!(counts(store, &[1], 1000 + WINDOW).await, [None], "it has ended");
    fail(&[1], 1000 + WINDOW).await;
    let anew = Some((1, 1000 + 2 * WINDOW));
    assert_eq!(counts(store, &[1], 1000 + WINDOW).await, [anew]);
    // Many at once, of which each is counted.
    let all = (0..20).map(|_| fail(&[7, 8], 9000));
    futures_util::future::join_all(all).await;
    let all = Some((20, 9000 + WINDOW));
    assert_eq!(counts(store, &[7, 8], 9000).await, [all, all]);
}

#[tokio::test]
async fn what_was_right_is_known_until_it_ends_and_what_has_ended_is_forgotten() {
    let db = Db::new().await;
    let store = &db.store;
    for (n, until) in [(1, 5000), (2, 9000)] {
        store.note_right_sign_in(key(n), at(until)).await.unwrap();
    }
    // Once more, a day later.
    let later = 9000 + 24 * 60 * 60 * 1000;
    store.note_right_sign_in(key(2), at(later)).await.unwrap();
    let (first, second) = (Some((0, 5000)), Some((0, later)));
    assert_eq!(counts(store, &[1, 2], 4000).await, [first, second]);
    assert_eq!(store.forget_sign_ins(at(4999), 9).await.unwrap(), 0);
    assert_eq!(store.forget_sign_ins(at(5000), 9).await.unwrap(), 1);
    assert_eq!(counts(store, &[1, 2], 0).await, [None, second]);
    for n in 3..=255 {
        let keys = vec![key(n)];
        store.count_failed_sign_in(keys, at(n.into())).await.unwrap();
    }
    // In more than one step.
    store.note_right_sign_in(key(1), at(1)).await.unwrap();
    let forgotten = store.forget_sign_ins(at(later), 1000).await.unwrap();
    assert_eq!(forgotten, 255);
}

#[tokio::test]
async fn of_too_many_those_that_end_first_are_forgotten_and_none_of_the_others() {
    let db = Db::new().await;
    let store = &db.store;
    for n in 1..=5 {
        let until = at(i64::from(n) * 1_000_000);
        store.note_right_sign_in(key(n), until).await.unwrap();
        let failed = vec![key(10 + n)];
        let now = at(i64::from(n));
        store.count_failed_sign_in(failed, now).await.unwrap();
    }
    assert_eq!(store.forget_sign_ins(at(10), 3).await.unwrap(), 4);
    let kept = async |keys: &[u8]| {
        let counts = counts(store, keys, 0).await;
        counts.iter().map(Option::is_some).collect::<Vec<_>>()
    };
    let last_three = [false, false, true, true, true];
    assert_eq!(kept(&[1, 2, 3, 4, 5]).await, last_three);
    assert_eq!(kept(&[11, 12, 13, 14, 15]).await, last_three);
}

/// The clock of the database was far ahead for a while.
#[tokio::test]
async fn a_window_that_ends_too_late_is_begun_anew() {
    let db = Db::new().await;
    let store = &db.store;
    let fail = async |now| {
        let failed = store.count_failed_sign_in(vec![key(1)], at(now));
        failed.await.unwrap();
    };
    fail(1_000_000_000).await;
    fail(1000).await;
    assert_eq!(counts(store, &[1], 1000).await, [Some((1, 1000 + WINDOW))]);
}
