//! What is old is forgotten, and nothing else.

use herald_store::{Accepted, Outcome, Pruned, Seq, Status, Store, Timestamp, UserId};

use crate::common::{Db, LEASE, at, claim_one, processed, send, up_to, user};

/// Sends and finishes a message at a time.
async fn notify_at(store: &Store, user: &UserId, now: Timestamp) {
    send(store, user, "hello", now).await;
    let job = claim_one(store, now).await;
    let finished = store.finish(&job, processed(), now).await;
    finished.unwrap().unwrap();
}

/// The numbers in an inbox after a number.
async fn inbox(store: &Store, user: &UserId, after: i64) -> Vec<i64> {
    let read = store.notifications(user, Seq(after), 1000, usize::MAX);
    let read = read.await.unwrap().items.into_iter();
    read.map(|notification| notification.seq.0).collect()
}

#[tokio::test]
async fn what_is_old_goes_and_what_is_young_stays() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    let bob = user(&store, "bob").await.id;
    for time in 0..100 {
        notify_at(&store, &ann, at(time)).await;
    }
    notify_at(&store, &bob, at(99)).await;
    assert_eq!(store.prune(at(0)).await.unwrap(), Pruned::default());
    let expected = Pruned {
        messages: 70,
        notifications: 70,
        cursors: 0,
    };
    assert_eq!(store.prune(at(70)).await.unwrap(), expected);
    assert_eq!(store.prune(at(70)).await.unwrap(), Pruned::default());
    // A reading begins with the first that is left, wherever it was to begin.
    let left: Vec<i64> = (71..=100).collect();
    for after in [0, 1, 69, 70] {
        assert_eq!(inbox(&store, &ann, after).await, left);
    }
    assert_eq!(
        inbox(&store, &ann, 90).await,
        (91..=100).collect::<Vec<_>>()
    );
    assert_eq!(inbox(&store, &bob, 0).await, [1]);
    let messages = store.messages(&ann, None, None, 1000).await.unwrap().items;
    assert_eq!(messages.len(), 30);
    assert!(messages.iter().all(|message| message.created_at >= at(70)));
    // Numbers go on.
    assert_eq!(store.prune(at(1000)).await.unwrap().notifications, 31);
    notify_at(&store, &ann, at(1000)).await;
    assert_eq!(inbox(&store, &ann, 0).await, [101]);
}

#[tokio::test]
async fn a_message_that_has_not_ended_stays_however_old_it_is() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    let processing = send(&store, &ann, "processing", at(0)).await;
    claim_one(&store, at(0)).await;
    let queued = send(&store, &ann, "queued", at(0)).await;
    assert_eq!(store.prune(at(1_000_000)).await.unwrap(), Pruned::default());
    for (id, status) in [
        (processing.id, Status::Processing),
        (queued.id, Status::Queued),
    ] {
        let message = store.message(&ann, &id).await.unwrap().unwrap();
        assert_eq!(message.status, status);
    }
}

#[tokio::test]
async fn a_message_goes_however_it_ended_with_its_key_and_its_failures() {
    let db = Db::new().await;
    let store = &db.store;
    let ann = user(store, "ann").await.id;
    let keyed = |now| store.accept(&ann, "hello".into(), Some("key".into()), now);
    keyed(at(0)).await.unwrap();
    let job = claim_one(store, at(0)).await;
    let error = "gone".to_owned();
    let dead = store.finish(&job, Outcome::Dead { error }, at(1)).await;
    dead.unwrap().unwrap();
    let cancelled = send(store, &ann, "cancelled", at(1)).await;
    store
        .remove_message(&ann, &cancelled.id, None, at(1))
        .await
        .unwrap();
    assert!(matches!(keyed(at(2)).await.unwrap(), Accepted::Existing(_)));
    assert_eq!(store.prune(at(2)).await.unwrap().messages, 2);
    assert_eq!(db.count("SELECT COUNT(*) FROM failed_attempts").await, 0);
    assert!(matches!(keyed(at(2)).await.unwrap(), Accepted::New(_)));
}

#[tokio::test]
async fn a_dead_message_that_is_retried_stays() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    send(&store, &ann, "hello", at(0)).await;
    let job = claim_one(&store, at(0)).await;
    let error = "gone".to_owned();
    let dead = store.finish(&job, Outcome::Dead { error }, at(1)).await;
    dead.unwrap().unwrap();
    store.retry(&job.id, at(5)).await.unwrap();
    assert_eq!(store.prune(at(1_000)).await.unwrap().messages, 0);
    assert_eq!(store.claim(1, LEASE, at(5)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn cursors_go_that_nobody_used_and_those_behind_the_inbox_go_on_with_what_is_left() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    let (old, young) = ("old".into(), "young".into());
    store.cursor(&ann, &old, Seq::NONE, at(0)).await.unwrap();
    store.cursor(&ann, &young, Seq::NONE, at(5)).await.unwrap();
    for time in 0..9 {
        notify_at(&store, &ann, at(time)).await;
    }
    store.acknowledge(&[up_to(&ann, 8)], at(9)).await.unwrap();
    assert_eq!(store.prune(at(5)).await.unwrap().cursors, 1);
    let stopped = store.cursor(&ann, &young, Seq::NONE, at(9)).await.unwrap();
    assert_eq!(stopped.acked, Seq::NONE);
    assert_eq!(inbox(&store, &ann, stopped.acked.0).await, [6, 7, 8, 9]);
    // The other begins where its user is.
    let again = store.cursor(&ann, &old, Seq::NONE, at(9)).await.unwrap();
    assert_eq!(again.acked, Seq(8));
}

#[tokio::test]
async fn many_inboxes_are_pruned_in_steps_beside_other_writes() {
    let Db { store, dir: _dir } = Db::new().await;
    let mut users = vec![];
    for number in 0..30 {
        let user = user(&store, &format!("user{number}")).await.id;
        for time in 0..10 {
            send(&store, &user, "hello", at(time)).await;
        }
        users.push(user);
    }
    loop {
        let jobs = store.claim(64, LEASE, at(100)).await.unwrap();
        if jobs.is_empty() {
            break;
        }
        for job in jobs {
            let now = job.created_at;
            store.finish(&job, processed(), now).await.unwrap().unwrap();
        }
    }
    let pruning = store.prune(at(7));
    let sending = async {
        for _ in 0..50 {
            send(&store, &users[0], "beside", at(200)).await;
        }
    };
    let (pruned, ()) = tokio::join!(pruning, sending);
    assert_eq!(pruned.unwrap().notifications, 210);
    for user in &users {
        assert_eq!(inbox(&store, user, 0).await, [8, 9, 10]);
    }
    let queued = store.counts().await.unwrap();
    assert_eq!((queued.queued, queued.processed), (50, 90));
}
