//! How long a claim holds, and what becomes of a message when it ends.

use std::sync::Arc;
use std::time::Duration;

use crate::common::{Db, LEASE, at, processed, send, user};
use herald_store::{MessageId, Seq};

#[tokio::test]
async fn a_lease_that_ran_out_can_be_claimed_and_the_late_worker_finishes_nothing() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    send(&store, &ann.id, "hello", at(0)).await;
    let lease = Duration::from_millis(100);
    let late = store.claim(1, lease, at(0)).await.unwrap().remove(0);
    assert_eq!(store.claim(1, lease, at(99)).await.unwrap(), []);
    let second = store.claim(1, lease, at(100)).await.unwrap().remove(0);
    assert_eq!((second.id.clone(), second.attempt), (late.id.clone(), 2));

    assert!(!store.renew(&late, lease, at(101)).await.unwrap());
    assert_eq!(
        store.finish(&late, processed(), at(101)).await.unwrap(),
        None
    );
    assert_eq!(store.position(&ann.id).await.unwrap().last, Seq::NONE);

    let finished = store.finish(&second, processed(), at(102)).await.unwrap();
    assert_eq!(finished.unwrap().notification.seq, Seq(1));
    assert_eq!(
        store.finish(&second, processed(), at(103)).await.unwrap(),
        None
    );
    assert!(!store.renew(&second, lease, at(103)).await.unwrap());
    assert_eq!(
        store
            .notifications(&ann.id, Seq::NONE, 10, usize::MAX)
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

#[tokio::test]
async fn a_worker_whose_lease_ran_out_unnoticed_still_finishes() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    send(&store, &ann.id, "hello", at(0)).await;
    let job = store
        .claim(1, Duration::from_millis(1), at(0))
        .await
        .unwrap()
        .remove(0);
    assert!(
        store
            .finish(&job, processed(), at(50))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_renewed_lease_lasts_longer() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    send(&store, &ann.id, "hello", at(0)).await;
    let lease = Duration::from_millis(100);
    let job = store.claim(1, lease, at(0)).await.unwrap().remove(0);
    assert!(store.renew(&job, lease, at(90)).await.unwrap());
    assert_eq!(store.claim(1, lease, at(189)).await.unwrap(), []);
    assert_eq!(store.claim(1, lease, at(190)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_being_worked_on_here_is_renewed_and_not_claimed_again() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    send(&store, &ann.id, "hello", at(0)).await;
    let lease = Duration::from_millis(100);
    let job = store.claim(1, lease, at(0)).await.unwrap().remove(0);
    // The clock was set forwards by an hour.
    let later = at(3_600_000);
    let id = job.id.clone();
    let asked = Arc::new(move |asked: &MessageId| *asked == id);
    let again = store.claim_others(1, lease, later, asked).await.unwrap();
    assert_eq!(again, []);
    assert_eq!(store.next_due().await.unwrap(), Some(later + lease));
    let other = Arc::new(|_: &MessageId| false);
    let after = later + lease;
    let again = store.claim_others(1, lease, after, other).await.unwrap();
    assert_eq!(again[0].id, job.id);
}

#[tokio::test]
async fn a_start_forgets_turns_that_are_ahead_of_a_clock_that_was_set_back() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    for _ in 0..2 {
        send(&store, &ann.id, "hello", at(0)).await;
    }
    let job = store
        .claim(1, LEASE, at(3_600_000))
        .await
        .unwrap()
        .remove(0);
    store
        .finish(&job, processed(), at(3_600_000))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(store.claim(1, LEASE, at(5)).await.unwrap(), []);
    assert_eq!(store.release_all().await.unwrap(), 0);
    assert_eq!(store.claim(1, LEASE, at(5)).await.unwrap().len(), 1);
}
