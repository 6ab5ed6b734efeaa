//! A start after the system's clock was set back.

use std::time::Duration;

use herald_store::{AheadOfClock, Delay, Timestamp};

use crate::common::{Db, LEASE, at, claim_one, processed, send, user};

const HOUR: i64 = 3_600_000;

#[tokio::test]
async fn what_was_accepted_ahead_of_the_clock_is_counted_and_stays() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    send(&store, &ann.id, "before", at(0)).await;
    let first = send(&store, &ann.id, "first", at(HOUR)).await;
    let delay = Delay::Fixed { ms: 10_000 };
    store.set_delay(delay, false).await.unwrap();
    let last = send(&store, &ann.id, "last", at(HOUR)).await;
    let ahead = AheadOfClock {
        messages: 2,
        last_due: last.run_at,
    };
    // The same at every start.
    for now in [0, 1_000] {
        let found = store.ahead_of_clock(at(now)).await.unwrap();
        assert_eq!(found, Some(ahead));
    }
    for sent in [first, last] {
        let kept = store.message(&ann.id, &sent.id).await.unwrap();
        assert_eq!(kept, Some(sent));
    }
}

#[tokio::test]
async fn nothing_is_ahead_of_a_clock_that_goes_on() {
    let Db { store, dir: _dir } = Db::new().await;
    assert_eq!(store.ahead_of_clock(at(0)).await.unwrap(), None);
    let ann = user(&store, "ann").await;
    let delay = Delay::Fixed { ms: 100_000 };
    store.set_delay(delay, false).await.unwrap();
    send(&store, &ann.id, "x", at(5_000)).await;
    // Clocks are not exact.
    for now in [0, 5_000, HOUR] {
        assert_eq!(store.ahead_of_clock(at(now)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_does_not_wait_is_not_counted() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    send(&store, &ann.id, "finished", at(HOUR)).await;
    let job = claim_one(&store, at(HOUR)).await;
    let finished = store.finish(&job, processed(), at(HOUR)).await;
    finished.unwrap().unwrap();
    assert_eq!(store.ahead_of_clock(at(0)).await.unwrap(), None);
}

#[tokio::test]
async fn a_delay_that_is_applied_counts_from_now_for_what_is_ahead_of_the_clock() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let (now, hour) = (Timestamp::now(), Duration::from_secs(3_600));
    let tried = send(&store, &ann.id, "tried", now + hour).await;
    store.claim(1, LEASE, now + hour).await.unwrap();
    assert_eq!(store.release_all().await.unwrap(), 1);
    let new = send(&store, &ann.id, "new", now + hour).await;
    let delay = Delay::Fixed { ms: 60_000 };
    assert_eq!(store.set_delay(delay, true).await.unwrap(), 2);
    let limit = Timestamp::now() + Duration::from_secs(60);
    for sent in [tried, new] {
        let moved = store.message(&ann.id, &sent.id).await.unwrap().unwrap();
        assert!(moved.run_at >= now + Duration::from_secs(60));
        assert!(moved.run_at <= limit);
        assert_eq!(moved.created_at, sent.created_at);
    }
}
