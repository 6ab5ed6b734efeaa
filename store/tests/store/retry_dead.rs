//! Putting back what has died, by filter.

use std::time::Duration;

use herald_store::{DeadFilter, Message, Outcome, Status, Store, Timestamp, UserId};

use crate::common::{Db, LEASE, at, send_many, user};

/// Sends and lets die, each a millisecond after the one before, from `from` on.
async fn dead(store: &Store, user: &UserId, count: i64, from: i64) -> Vec<Message> {
    let sent = send_many(store, user, count).await;
    let mut died = 0;
    while died < count {
        for job in store.claim(100, LEASE, at(1_000_000)).await.unwrap() {
            let error = "no".to_owned();
            let end = store.finish(&job, Outcome::Dead { error }, at(from + died));
            assert!(end.await.unwrap().is_some());
            died += 1;
        }
    }
    sent
}

/// How many each step put back.
async fn steps(store: &Store, filter: &DeadFilter, now: Timestamp) -> Vec<usize> {
    let (mut steps, mut next) = (vec![], None);
    loop {
        let retried = store.retry_dead(filter, next.as_ref(), now).await.unwrap();
        assert!(retried.requeued.iter().all(|r| r.run_at == now));
        steps.push(retried.requeued.len());
        match retried.next {
            Some(token) => next = Some(token),
            None => return steps,
        }
    }
}

#[tokio::test]
async fn all_that_died_is_put_back_in_steps_with_all_its_attempts() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let sent = dead(&store, &ann.id, 600, 0).await;
    // Also what died later than the clock shows now.
    let put_back = steps(&store, &DeadFilter::default(), at(300)).await;
    assert_eq!(put_back.iter().sum::<usize>(), 600);
    assert!(put_back.iter().all(|step| *step <= 256), "{put_back:?}");
    assert_eq!(store.counts().await.unwrap().queued, 600);
    let message = store.message(&ann.id, &sent[0].id).await.unwrap().unwrap();
    assert_eq!((message.status, message.run_at), (Status::Queued, at(300)));
    assert_eq!(message.processed_at, None);
    let job = &store.claim(1, LEASE, at(300)).await.unwrap()[0];
    assert_eq!((job.failures, job.attempt), (0, 2));
    // They may wait again as many as before, and be ended again.
    assert_eq!(steps(&store, &DeadFilter::default(), at(3000)).await, [0]);
}

#[tokio::test]
async fn the_filter_is_a_user_and_a_span_of_time() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (user(&store, "ann").await, user(&store, "bob").await);
    dead(&store, &ann.id, 10, 0).await;
    dead(&store, &bob.id, 10, 100).await;
    let of_bob = DeadFilter {
        user: Some(bob.id.clone()),
        from: Some(at(102)),
        to: Some(at(105)),
    };
    let retried = store.retry_dead(&of_bob, None, at(9000)).await.unwrap();
    assert_eq!(retried.requeued.len(), 3);
    assert!(retried.requeued.iter().all(|r| r.username == bob.username));
    let before = DeadFilter {
        to: Some(at(5)),
        ..DeadFilter::default()
    };
    assert_eq!(steps(&store, &before, at(9000)).await, [5]);
    let of_ann = DeadFilter {
        user: Some(ann.id),
        ..DeadFilter::default()
    };
    assert_eq!(steps(&store, &of_ann, at(9000)).await, [5]);
    assert_eq!(store.counts().await.unwrap().dead, 7);
}

/// What is put back, and dies again meanwhile, is not met again: the walk ends.
#[tokio::test]
async fn what_dies_after_the_walk_began_is_left() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    dead(&store, &ann.id, 300, 0).await;
    let all = DeadFilter::default();
    let first = store.retry_dead(&all, None, at(1000)).await.unwrap();
    assert_eq!(first.requeued.len(), 256);
    let now = at(1000) + Duration::from_secs(1);
    for job in store.claim(64, LEASE, now).await.unwrap() {
        let error = "no".to_owned();
        store
            .finish(&job, Outcome::Dead { error }, now)
            .await
            .unwrap();
    }
    let rest = store.retry_dead(&all, first.next.as_ref(), now).await;
    let rest = rest.unwrap();
    assert_eq!((rest.requeued.len(), rest.next), (44, None));
}
