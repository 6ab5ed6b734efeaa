//! A start after the system's clock was set back.

use std::time::Duration;

use futures_util::future::join_all;
use herald_store::{ClockSetBack, Delay, Seq};

use crate::common::{Db, LEASE, at, claim_one, execute, processed, send, user};

const HOUR: i64 = 3_600_000;

fn an_hour(moved: u64) -> Option<ClockSetBack> {
    let by = Duration::from_secs(3600);
    Some(ClockSetBack { by, moved })
}

#[tokio::test]
async fn what_waits_waits_no_longer_than_it_would_have() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let claimed = send(&store, &ann.id, "claimed", at(HOUR)).await;
    store.claim(1, LEASE, at(HOUR)).await.unwrap();
    let delay = Delay::Fixed { ms: 10_000 };
    store.set_delay(delay, false).await.unwrap();
    let waiting = send(&store, &ann.id, "waiting", at(HOUR)).await;

    // The clock shows what it showed an hour ago.
    assert_eq!(store.follow_clock_back(at(0)).await.unwrap(), an_hour(2));
    let moved = store.message(&ann.id, &waiting.id).await.unwrap().unwrap();
    assert_eq!((moved.created_at, moved.run_at), (at(0), at(10_000)));
    assert_eq!(store.next_due().await.unwrap(), Some(at(10_000)));
    let again = store.claim(10, LEASE, at(10_000)).await.unwrap();
    assert_eq!(again[0].id, waiting.id);
    // The lease of the other ends when it would have.
    let lost = store.claim(10, LEASE, at(30_000)).await.unwrap();
    assert_eq!(lost[0].id, claimed.id);
}

#[tokio::test]
async fn a_clock_that_goes_on_moves_nothing() {
    let Db { store, dir: _dir } = Db::new().await;
    assert_eq!(store.follow_clock_back(at(0)).await.unwrap(), None);
    let ann = user(&store, "ann").await;
    let sent = send(&store, &ann.id, "x", at(5_000)).await;
    // Clocks are not exact.
    for now in [0, 5_000, HOUR] {
        assert_eq!(store.follow_clock_back(at(now)).await.unwrap(), None);
    }
    let kept = store.message(&ann.id, &sent.id).await.unwrap();
    assert_eq!(kept, Some(sent));
}

#[tokio::test]
async fn what_was_moved_is_not_moved_by_the_next_start() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let delay = Delay::Fixed { ms: 10_000 };
    store.set_delay(delay, false).await.unwrap();
    let waiting = send(&store, &ann.id, "waiting", at(HOUR)).await;
    store
        .set_delay(Delay::Fixed { ms: 0 }, false)
        .await
        .unwrap();
    // Finished, it keeps its time, and is ahead of the clock for an hour.
    send(&store, &ann.id, "finished", at(HOUR)).await;
    let job = claim_one(&store, at(HOUR)).await;
    let finished = store.finish(&job, processed(), at(HOUR)).await;
    assert_eq!(finished.unwrap().unwrap().notification.seq, Seq(1));

    assert_eq!(store.follow_clock_back(at(0)).await.unwrap(), an_hour(1));
    for now in [1, 1_000, 100_000] {
        assert_eq!(store.follow_clock_back(at(now)).await.unwrap(), None);
    }
    let moved = store.message(&ann.id, &waiting.id).await.unwrap().unwrap();
    assert_eq!(moved.run_at, at(10_000));
    // A message by the new clock is newer than the one that is ahead of it, and the clock may be set back again.
    send(&store, &ann.id, "by the new clock", at(2 * HOUR)).await;
    let again = store.follow_clock_back(at(HOUR)).await.unwrap();
    assert_eq!(again, an_hour(2));
}

#[tokio::test]
async fn many_messages_are_moved_in_steps_each_once() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    let mut sent = vec![];
    for part in 0..5 {
        let times = (part * 500..).take(500).map(|n| at(HOUR + n));
        sent.extend(join_all(times.map(|now| send(&db.store, &ann.id, "x", now))).await);
    }
    // The newest is ahead by exactly an hour.
    let moving = db.store.follow_clock_back(at(2_499));
    assert_eq!(moving.await.unwrap(), an_hour(2_500));
    let other = db.open_again().await;
    assert_eq!(other.follow_clock_back(at(2_499)).await.unwrap(), None);
    for message in sent {
        let moved = other.message(&ann.id, &message.id).await.unwrap().unwrap();
        let wait = message.run_at.as_millis() - moved.run_at.as_millis();
        assert_eq!(wait, HOUR);
    }
}

#[tokio::test]
async fn a_move_that_was_interrupted_is_taken_up_where_it_stopped() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    let moved = send(&db.store, &ann.id, "moved", at(0)).await;
    let left = send(&db.store, &ann.id, "left", at(HOUR)).await;
    let progress = format!(
        r#"{{"newest": "{}", "by_ms": {HOUR}, "table": 0, "after": "{}"}}"#,
        left.id, moved.id
    );
    let sql = format!("INSERT INTO settings VALUES ('clock_set_back', '{progress}')");
    execute(&db.file(), sql.leak()).await;

    for found in [an_hour(1), None] {
        assert_eq!(db.store.follow_clock_back(at(9)).await.unwrap(), found);
        for message in [&moved, &left] {
            let message = db.store.message(&ann.id, &message.id).await.unwrap();
            assert_eq!(message.unwrap().run_at, at(0));
        }
    }
}
