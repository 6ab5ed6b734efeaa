//! From a message that is sent to its notification.

use crate::common::{Db, LEASE, at, claim_one, notify, processed, send, user};
use futures_util::FutureExt;
use futures_util::future::join_all;
use herald_store::{
    Delay, Finished, MessageId, Outcome, Seq, Status, StoreError, Timestamp, UserId,
};

#[tokio::test]
async fn an_accepted_message_is_found_by_its_owner_alone() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let bob = user(&store, "bob").await;
    let body = "héllo \u{1F600} '; DROP TABLE messages; --";
    let sent = send(&store, &ann.id, body, at(5)).await;
    assert_eq!(sent.user_id, ann.id);
    assert_eq!(sent.username, ann.username);
    assert_eq!(sent.body, body);
    assert_eq!(sent.status, Status::Queued);
    assert_eq!((sent.created_at, sent.run_at), (at(5), at(5)));
    assert_eq!(
        store.message(&ann.id, &sent.id).await.unwrap(),
        Some(sent.clone())
    );
    assert_eq!(store.message(&bob.id, &sent.id).await.unwrap(), None);
    assert_eq!(
        store.message(&ann.id, &MessageId::new()).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_message_of_no_account_is_refused() {
    let Db { store, dir: _dir } = Db::new().await;
    let sent = store.accept(&UserId::new(), "x".into(), None, at(0)).await;
    assert!(matches!(sent, Err(StoreError::UnknownUser)));
}

#[tokio::test]
async fn what_is_due_is_claimed_once_and_longest_due_first() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let mut sent = Vec::new();
    for created in [30, 10, 20, 40] {
        sent.push(send(&store, &ann.id, "hello", at(created)).await.id);
    }
    let ids = |jobs: &[herald_store::Job]| -> Vec<MessageId> {
        jobs.iter().map(|job| job.id.clone()).collect()
    };
    assert_eq!(store.claim(10, LEASE, at(9)).await.unwrap(), []);
    let first = store.claim(2, LEASE, at(30)).await.unwrap();
    assert_eq!(ids(&first), [sent[1].clone(), sent[2].clone()]);
    let rest = store.claim(10, LEASE, at(30)).await.unwrap();
    assert_eq!(ids(&rest), [sent[0].clone()]);
    assert_ne!(first[0].lease, rest[0].lease);
    assert_eq!(store.claim(0, LEASE, at(99)).await.unwrap(), []);

    let job = &first[0];
    assert_eq!(job.user_id, ann.id);
    assert_eq!(job.username, ann.username);
    assert_eq!((job.body.as_str(), job.attempt), ("hello", 1));
    assert_eq!(job.created_at, at(10));
    let message = store.message(&ann.id, &job.id).await.unwrap().unwrap();
    assert_eq!((message.status, message.attempts), (Status::Processing, 1));
}

#[tokio::test]
async fn of_two_workers_that_finish_at_once_the_one_with_the_lease_does() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    send(&store, &ann.id, "hello", at(0)).await;
    let late = claim_one(&store, at(0)).await;
    store.release_all().await.unwrap();
    let second = claim_one(&store, at(1)).await;
    let error = "gone".to_owned();
    let finished = join_all([
        store.finish(
            &late,
            Outcome::Dead {
                error: error.clone(),
            },
            at(2),
        ),
        store.finish(&second, processed(), at(2)),
        store.finish(&second, Outcome::Dead { error }, at(2)),
    ])
    .await;
    let notified = |finished: &Result<Option<Finished>, StoreError>| {
        let finished = finished.as_ref().unwrap().as_ref();
        finished.map(|finished| finished.notification.payload.contains("message.processed"))
    };
    let notified: Vec<_> = finished.iter().map(notified).collect();
    assert_eq!(notified, [None, Some(true), None]);
    let message = store.message(&ann.id, &second.id).await.unwrap().unwrap();
    assert_eq!((message.status, message.error), (Status::Processed, None));
}

#[tokio::test]
async fn a_finished_message_and_its_notification_say_the_same() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let sent = send(&store, &ann.id, "hello", at(0)).await;
    let job = claim_one(&store, at(0)).await;
    let result = "HELLO".to_owned();
    let finished = store
        .finish(&job, Outcome::Processed { result }, at(1003))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(finished.user_id, ann.id);
    assert_eq!(finished.username, ann.username);
    assert_eq!(
        &*finished.notification.payload,
        format!(
            r#"{{"seq":1,"epoch":"{}","type":"message.processed","message":{{"id":"{}","body":"hello","status":"processed","result":"HELLO","error":null,"attempts":1,"created_at":"2026-11-22T10:00:00.000Z","processed_at":"2026-11-22T10:00:01.003Z"}}}}"#,
            store.epoch(),
            sent.id
        )
    );
    let inbox = store
        .notifications(&ann.id, Seq::NONE, 10, usize::MAX)
        .await
        .unwrap()
        .items;
    assert_eq!(inbox, [finished.notification]);
    let message = store.message(&ann.id, &sent.id).await.unwrap().unwrap();
    assert_eq!(message.status, Status::Processed);
    assert_eq!(message.result.as_deref(), Some("HELLO"));
    assert_eq!(message.error, None);
    assert_eq!(message.processed_at, Some(at(1003)));
    assert_eq!(message.delivered_at, None);
}

#[tokio::test]
async fn the_owner_of_a_dead_message_is_notified_too() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let sent = send(&store, &ann.id, "hello", at(0)).await;
    let job = claim_one(&store, at(0)).await;
    let error = "gone".to_owned();
    let finished = store
        .finish(&job, Outcome::Dead { error }, at(1))
        .await
        .unwrap();
    let payload = finished.unwrap().notification.payload;
    assert!(payload.contains(r#""type":"message.failed""#), "{payload}");
    let message = store.message(&ann.id, &sent.id).await.unwrap().unwrap();
    assert_eq!((message.status, message.result), (Status::Dead, None));
    assert_eq!(message.error.as_deref(), Some("gone"));
}

#[tokio::test]
async fn numbers_have_no_gaps_however_many_finish_at_once() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let bob = user(&store, "bob").await;
    for _ in 0..60 {
        send(&store, &ann.id, "hello", at(0)).await;
        send(&store, &bob.id, "hello", at(0)).await;
    }
    let jobs = store.claim(1000, LEASE, at(0)).await.unwrap();
    assert_eq!(jobs.len(), 120);
    // Every job is finished by two workers, of whom one is late.
    let finishes = jobs.iter().chain(&jobs).map(|job| {
        let (store, job) = (store.clone(), job.clone());
        tokio::spawn(async move { store.finish(&job, processed(), at(1)).await.unwrap() })
    });
    let finished: Vec<_> = join_all(finishes)
        .await
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    assert_eq!(finished.len(), 120);
    for owner in [&ann, &bob] {
        let mut notified: Vec<_> = finished
            .iter()
            .filter(|finished| finished.user_id == owner.id)
            .map(|finished| finished.notification.clone())
            .collect();
        notified.sort_by_key(|notification| notification.seq);
        let numbers: Vec<_> = notified
            .iter()
            .map(|notification| notification.seq.0)
            .collect();
        assert_eq!(numbers, (1..=60).collect::<Vec<_>>());
        assert_eq!(
            store
                .notifications(&owner.id, Seq::NONE, 100, usize::MAX)
                .await
                .unwrap()
                .items,
            notified
        );
        assert_eq!(store.position(&owner.id).await.unwrap().last, Seq(60));
    }
}

#[tokio::test]
async fn at_a_start_everything_claimed_goes_back_into_the_queue() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    notify(&store, &ann.id, 1).await;
    send(&store, &ann.id, "hello", at(0)).await;
    let lost = claim_one(&store, at(0)).await;
    assert_eq!(store.release_all().await.unwrap(), 1);
    assert_eq!(store.finish(&lost, processed(), at(1)).await.unwrap(), None);
    let again = claim_one(&store, at(0)).await;
    assert_eq!((again.id, again.attempt), (lost.id, 2));
}

#[tokio::test]
async fn the_next_due_time_is_that_of_a_queued_message_or_of_a_lease() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    assert_eq!(store.next_due().await.unwrap(), None);
    notify(&store, &ann.id, 1).await;
    assert_eq!(store.next_due().await.unwrap(), None);
    send(&store, &ann.id, "hello", at(50)).await;
    send(&store, &ann.id, "hello", at(40)).await;
    assert_eq!(store.next_due().await.unwrap(), Some(at(40)));
    store.claim(2, LEASE, at(60)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(60) + LEASE));
    send(&store, &ann.id, "hello", at(70)).await;
    assert_eq!(store.next_due().await.unwrap(), Some(at(70)));
}

#[tokio::test]
async fn the_worker_is_woken_by_what_may_be_due_and_by_nothing_else() {
    let Db { store, dir: _dir } = Db::new().await;
    let woken = || store.queued().notified().now_or_never().is_some();
    let ann = user(&store, "ann").await;
    assert!(!woken());
    let accept = || store.accept(&ann.id, "hello".into(), Some("k".into()), at(0));
    accept().await.unwrap();
    assert!(woken());
    accept().await.unwrap();
    assert!(!woken(), "nothing new was accepted");
    store
        .set_delay(Delay::Fixed { ms: 5 }, false)
        .await
        .unwrap();
    assert!(!woken(), "no message was moved");
    store.set_delay(Delay::Fixed { ms: 6 }, true).await.unwrap();
    assert!(woken());
    claim_one(&store, at(6)).await;
    store.release_all().await.unwrap();
    assert!(woken());
}

#[tokio::test]
async fn ids_grow_with_the_order_of_acceptance() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let sends = (0..200).map(|_| send(&store, &ann.id, "hello", Timestamp::now()));
    let ids: Vec<_> = join_all(sends)
        .await
        .into_iter()
        .map(|message| message.id)
        .collect();
    assert!(ids.is_sorted());
}

#[tokio::test]
async fn a_message_that_is_retried_is_not_delivered_any_more() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let sent = send(&store, &ann.id, "hello", at(0)).await;
    let job = claim_one(&store, at(0)).await;
    let error = "gone".to_owned();
    store
        .finish(&job, Outcome::Dead { error }, at(1))
        .await
        .unwrap()
        .unwrap();
    let acknowledged = herald_store::Acknowledged {
        user: ann.id.clone(),
        client_id: None,
        up_to: Seq(1),
    };
    store.acknowledge(&[acknowledged], at(2)).await.unwrap();
    let message = |at_ms| {
        let (store, ann, id) = (store.clone(), ann.id.clone(), sent.id.clone());
        async move {
            let message = store.message(&ann, &id).await.unwrap().unwrap();
            assert_eq!(message.delivered_at, at_ms);
        }
    };
    message(Some(at(2))).await;
    store.retry(&sent.id, at(3)).await.unwrap();
    message(None).await;
}
