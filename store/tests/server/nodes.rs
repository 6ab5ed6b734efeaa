//! Servers that share a database, each of which says that it is there, and inherits from those that no longer do.

use futures_util::future::join_all;
use herald_store::{Job, Membership, NodeId, Store, StoreError};

use crate::common::{Db, LEASE, at, processed, send, user};
use crate::faults::Behind;

const VERSION: &str = "1.2.3";

/// A server that has joined.
async fn joined(store: &Store) -> (Membership, NodeId) {
    let mut membership = Membership::of(store).unwrap();
    let id = membership.join("here", VERSION, 7, None).await.unwrap();
    (membership, id)
}

/// Lets all leases of nodes end.
async fn end_leases(db: &Db) {
    db.execute("UPDATE nodes SET lease_until = lease_until - 60000")
        .await;
}

/// Messages that are due, claimed by a store.
async fn claimed(store: &Store, messages: usize) -> Vec<Job> {
    let ann = user(store, "ann").await.id;
    join_all((0..messages).map(|_| send(store, &ann, "hello", at(0)))).await;
    let mut jobs = vec![];
    while jobs.len() < messages {
        jobs.extend(store.claim(256, LEASE, at(1)).await.unwrap());
    }
    jobs
}

#[tokio::test]
async fn a_node_is_listed_from_when_it_joins_until_it_leaves() {
    let db = Db::new().await;
    let other = db.open_again().await;
    assert_eq!(other.nodes().await.unwrap(), []);
    let mut first = Membership::of(&db.store).unwrap();
    let control = "a\0machine\nof a name that is far too long to be one of any that there are in the world";
    let first_id = first.join(control, VERSION, 7, None).await.unwrap();
    let (_second, second_id) = joined(&other).await;
    let nodes = other.nodes().await.unwrap();
    let ids: Vec<_> = nodes.iter().map(|node| node.id.clone()).collect();
    assert_eq!(ids, [first_id.clone(), second_id.clone()]);
    let node = &nodes[0];
    assert!(node.stands && node.lease_until > node.started_at);
    assert!(node.name.starts_with("amachineof a name") && node.name.len() == 64);
    assert_eq!((node.version.as_str(), node.rights_seen), (VERSION, 7));
    assert_eq!(db.store.leave(&first_id).await.unwrap(), 0);
    let nodes = other.nodes().await.unwrap();
    assert_eq!(nodes[0].id, second_id);
    assert_eq!(nodes.len(), 1);
}

#[tokio::test]
async fn a_beat_makes_the_lease_longer_and_returns_the_time_of_the_database() {
    let db = Db::new().await;
    let (mut membership, id) = joined(&db.store).await;
    let before = db.store.nodes().await.unwrap().remove(0);
    let first = membership.beat(&id, 8).await.unwrap().unwrap();
    let second = membership.beat(&id, 9).await.unwrap().unwrap();
    assert!(before.started_at <= first && first <= second);
    let after = db.store.nodes().await.unwrap().remove(0);
    assert_eq!(after.rights_seen, 9);
    assert_eq!(
        after.lease_until.as_millis() - second.as_millis(),
        5_000,
        "by the clock of the database"
    );
    assert!(after.lease_until >= before.lease_until);
}

#[tokio::test]
async fn a_node_whose_lease_has_ended_cannot_beat_any_more() {
    let db = Db::new().await;
    let (mut membership, id) = joined(&db.store).await;
    end_leases(&db).await;
    assert!(!db.store.nodes().await.unwrap()[0].stands);
    assert_eq!(membership.beat(&id, 7).await.unwrap(), None);
    // Nor once it is forgotten.
    assert_eq!(db.store.inherit(&id).await.unwrap(), Some(0));
    assert_eq!(membership.beat(&id, 7).await.unwrap(), None);
    let again = membership.join("here", VERSION, 7, Some(&id)).await.unwrap();
    assert_ne!(again, id);
    assert!(membership.beat(&again, 7).await.unwrap().is_some());
}

#[tokio::test]
async fn of_two_that_inherit_at_once_one_does_it_and_messages_are_due_at_once() {
    let db = Db::new().await;
    let (dead, others) = (
        db.open_again().await,
        [db.open_again().await, db.open_again().await],
    );
    let (_membership, id) = joined(&dead).await;
    let jobs = claimed(&dead, 3).await;
    // Not from one that stands.
    assert_eq!(others[0].inherit(&id).await.unwrap(), None);
    end_leases(&db).await;
    let taken = join_all(others.iter().map(|store| store.inherit(&id))).await;
    let mut taken: Vec<_> = taken.into_iter().map(Result::unwrap).collect();
    taken.sort_unstable();
    assert_eq!(taken, [None, Some(3)]);
    assert_eq!(others[0].nodes().await.unwrap(), []);
    let again = others[0].claim(16, LEASE, at(2)).await.unwrap();
    assert_eq!(again.len(), 3);
    // Who held them before has no say any more.
    for job in &jobs {
        assert_eq!(dead.finish(job, processed(), at(3)).await.unwrap(), None);
        assert!(!dead.renew(job, LEASE, at(3)).await.unwrap());
    }
    for job in &again {
        let finished = others[0].finish(job, processed(), at(3)).await.unwrap();
        assert!(finished.is_some());
    }
}

#[tokio::test]
async fn whatever_a_node_has_claimed_is_inherited_and_nothing_of_others() {
    let db = Db::new().await;
    let (dead, other) = (db.open_again().await, db.open_again().await);
    let (_membership, id) = joined(&dead).await;
    let (_membership, other_id) = joined(&other).await;
    claimed(&dead, 600).await;
    let bob = user(&other, "bob").await.id;
    send(&other, &bob, "hello", at(0)).await;
    let theirs = other.claim(16, LEASE, at(1)).await.unwrap().remove(0);
    db.execute("UPDATE nodes SET lease_until = 0 WHERE rights_seen = 7")
        .await;
    assert_eq!(db.store.inherit(&id).await.unwrap(), Some(600));
    assert_eq!(db.store.counts().await.unwrap().queued, 600);
    assert!(other.renew(&theirs, LEASE, at(2)).await.unwrap());
    assert_eq!(db.store.inherit(&other_id).await.unwrap(), Some(1));
}

#[tokio::test]
async fn who_leaves_puts_back_what_it_has_not_finished() {
    let db = Db::new().await;
    let (_membership, id) = joined(&db.store).await;
    let job = claimed(&db.store, 1).await.remove(0);
    assert_eq!(db.store.leave(&id).await.unwrap(), 1);
    assert_eq!(db.store.nodes().await.unwrap(), []);
    assert!(!db.store.renew(&job, LEASE, at(2)).await.unwrap());
    assert_eq!(db.store.leave(&id).await.unwrap(), 0);
}

#[tokio::test]
async fn who_joins_again_keeps_what_it_works_on() {
    let db = Db::new().await;
    let (mut membership, id) = joined(&db.store).await;
    let job = claimed(&db.store, 1).await.remove(0);
    let again = membership.join("here", VERSION, 7, Some(&id)).await.unwrap();
    let nodes = db.store.nodes().await.unwrap();
    assert_eq!((nodes.len(), &nodes[0].id), (1, &again));
    assert_eq!(db.store.inherit(&id).await.unwrap(), None);
    assert!(db.store.renew(&job, LEASE, at(2)).await.unwrap());
}

#[tokio::test]
async fn a_beat_that_is_not_answered_fails_and_the_next_one_has_another_connection() {
    let behind = Behind::new().await;
    let (mut membership, id) = joined(&behind.store).await;
    assert!(membership.beat(&id, 7).await.unwrap().is_some());
    behind.proxy.hold();
    let error = membership.beat(&id, 7).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    behind.proxy.release();
    assert!(membership.beat(&id, 7).await.unwrap().is_some());
    behind.proxy.cut_all();
    assert!(membership.beat(&id, 7).await.is_err());
    assert!(membership.beat(&id, 7).await.unwrap().is_some());
}
