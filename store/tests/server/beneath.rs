//! Messages that are changed between what a write has read and what it changes, by somebody who does not lock their queue: an
//! operator with a SQL shell, or Herald after one has deleted the queue. What was decided is not what is written then.

use std::future::Future;

use herald_store::{DeadFilter, Job, Outcome, Removed, Status, StatusCounts};

use crate::common::{Db, LEASE, at, claim_one, processed, send, user};
use crate::waiting::met;

/// Does something while another writer has run `sql`, which is committed once it is waited for.
async fn beneath<T>(db: &Db, sql: &str, what: impl Future<Output = T>) -> T {
    met(db, sql, "messages", "SELECT 1", what).await
}

/// A message that is claimed.
async fn claimed() -> (Db, Job) {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    send(&db.store, &ann.id, "hello", at(0)).await;
    let job = claim_one(&db.store, at(0)).await;
    (db, job)
}

async fn ended(outcome: Outcome) -> (Db, Job) {
    let (db, job) = claimed().await;
    let finished = db.store.finish(&job, outcome, at(1)).await.unwrap();
    assert!(finished.is_some());
    (db, job)
}

async fn counts(db: &Db) -> StatusCounts {
    db.store.counts().await.unwrap()
}

const REQUEUED: &str = "UPDATE messages SET status = 'queued', lease = NULL, lease_until = NULL, processed_at = NULL";

#[tokio::test]
async fn nobody_is_notified_of_an_end_that_did_not_take_place() {
    let (db, job) = claimed().await;
    let finish = db.store.finish(&job, processed(), at(2));
    assert_eq!(beneath(&db, REQUEUED, finish).await.unwrap(), None);
    assert_eq!(db.count("SELECT COUNT(*) FROM notifications").await, 0);
    assert_eq!(db.count("SELECT last_seq FROM inboxes").await, 0);
    assert_eq!(db.count("SELECT open FROM user_queues").await, 1);
    assert_eq!(counts(&db).await.processed, 0);
}

#[tokio::test]
async fn a_lease_that_is_renewed_meanwhile_is_not_taken_back() {
    let (db, job) = claimed().await;
    let renewed = "UPDATE messages SET lease_until = lease_until + 3600000";
    let late = at(1) + LEASE;
    let claim = db.store.claim(10, LEASE, late);
    assert_eq!(beneath(&db, renewed, claim).await.unwrap(), []);
    let processing = StatusCounts {
        processing: 1,
        ..StatusCounts::default()
    };
    assert_eq!(counts(&db).await, processing);
    let finished = db.store.finish(&job, processed(), late).await.unwrap();
    assert!(finished.is_some());
}

#[tokio::test]
async fn what_is_cancelled_meanwhile_is_not_claimed() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    send(&db.store, &ann.id, "one", at(0)).await;
    send(&db.store, &ann.id, "other", at(0)).await;
    let cancelled = "UPDATE messages SET status = 'cancelled', processed_at = 0 WHERE body = 'one'";
    let claim = db.store.claim(10, LEASE, at(1));
    let jobs = beneath(&db, cancelled, claim).await.unwrap();
    let bodies: Vec<_> = jobs.iter().map(|job| job.body.as_str()).collect();
    assert_eq!(bodies, ["other"]);
    assert_eq!(counts(&db).await.processing, 1);
}

#[tokio::test]
async fn what_is_queued_meanwhile_is_not_put_back_once_more() {
    let (db, _) = ended(Outcome::Dead { error: "no".into() }).await;
    let filter = DeadFilter::default();
    let retry = db.store.retry_dead(&filter, None, at(2));
    let retried = beneath(&db, REQUEUED, retry).await.unwrap();
    assert_eq!(retried.requeued, []);
    assert_eq!(db.count("SELECT open FROM user_queues").await, 0);
}

#[tokio::test]
async fn what_is_queued_meanwhile_is_not_deleted_and_takes_room() {
    let (db, job) = ended(processed()).await;
    let room = async || db.store.stored_bytes(&[&job.user_id]).await.unwrap();
    let before = room().await;
    let processed = Some(Status::Processed);
    let remove = db.store.remove_message(&job.user_id, &job.id, processed, at(2));
    let removed = beneath(&db, REQUEUED, remove).await.unwrap();
    assert_eq!(removed, Removed::Not(Status::Queued));
    assert_eq!(room().await, before);
    assert_eq!(db.count("SELECT COUNT(*) FROM messages").await, 1);
}
