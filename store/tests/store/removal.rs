//! What users do away with.

use herald_store::{MessageId, Moved, Outcome, Removed, Seq, Status};

use crate::common::{Db, LEASE, at, claim_one, notify, send, user};

#[tokio::test]
async fn a_message_is_cancelled_while_it_is_queued_and_deleted_once_it_has_ended() {
    let db = Db::new().await;
    let store = &db.store;
    let ann = user(store, "ann").await.id;
    let sent = send(store, &ann, "hello", at(0)).await;
    let remove = async |only| {
        store
            .remove_message(&ann, &sent.id, only, at(1))
            .await
            .unwrap()
    };
    assert_eq!(remove(None).await, Removed::Cancelled);
    assert_eq!(
        remove(Some(Status::Queued)).await,
        Removed::Not(Status::Cancelled)
    );
    assert_eq!(remove(None).await, Removed::Deleted);
    assert_eq!(remove(None).await, Removed::Unknown);
    assert_eq!(store.message(&ann, &sent.id).await.unwrap(), None);
    assert_eq!(store.claim(9, LEASE, at(9)).await.unwrap(), []);
}

/// Between the look and the click the message has ended, and its result is wanted.
#[tokio::test]
async fn who_means_to_cancel_deletes_nothing_that_has_ended_meanwhile() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await.id;
    send(&db.store, &ann, "hello", at(0)).await;
    let job = claim_one(&db.store, at(0)).await;
    let only = Some(Status::Queued);
    let store = db.store.clone();
    let cancel = store.remove_message(&ann, &job.id, only, at(1));
    assert_eq!(cancel.await.unwrap(), Removed::Not(Status::Processing));
    let result = "result".to_owned();
    // Both arrive together, in either order.
    let finish = store.finish(&job, Outcome::Processed { result }, at(1));
    let cancel = store.remove_message(&ann, &job.id, only, at(1));
    let (finished, cancelled) = tokio::join!(finish, cancel);
    finished.unwrap().unwrap();
    assert!(matches!(cancelled.unwrap(), Removed::Not(_)));
    let kept = store.message(&ann, &job.id).await.unwrap().unwrap();
    assert_eq!(kept.result.as_deref(), Some("result"));
}

#[tokio::test]
async fn a_deleted_message_takes_its_attempts_and_its_key_along_and_leaves_its_numbers() {
    let db = Db::new().await;
    let store = &db.store;
    let (ann, bob) = (user(store, "ann").await.id, user(store, "bob").await.id);
    notify(store, &ann, 1).await;
    let accept = async || {
        store
            .accept(&ann, "x".into(), Some("key".into()), at(0))
            .await
    };
    accept().await.unwrap();
    let job = claim_one(store, at(0)).await;
    let worked_on = store.remove_message(&ann, &job.id, None, at(1)).await;
    assert_eq!(worked_on.unwrap(), Removed::Not(Status::Processing));
    let later = store.retry_later(&job, "late".into(), at(1), at(0));
    assert!(later.await.unwrap());
    let job = claim_one(store, at(1)).await;
    let error = "dead".to_owned();
    let dead = store.finish(&job, Outcome::Dead { error }, at(2)).await;
    assert_eq!(dead.unwrap().unwrap().notification.seq, Seq(2));

    let foreign = store.remove_message(&bob, &job.id, None, at(3)).await;
    assert_eq!(foreign.unwrap(), Removed::Unknown);
    let own = store.remove_message(&ann, &job.id, None, at(3)).await;
    assert_eq!(own.unwrap(), Removed::Deleted);
    assert_eq!(db.count("SELECT COUNT(*) FROM failed_attempts").await, 0);
    assert_eq!(store.retry(&job.id, at(3)).await.unwrap(), Moved::Unknown);
    let inbox = store.notifications(&ann, Seq::NONE, 10, usize::MAX).await;
    let inbox = inbox.unwrap().items;
    assert_eq!(inbox.len(), 2);
    assert!(!inbox[0].payload.contains("deleted"), "{:?}", inbox[0]);
    assert!(inbox[1].payload.contains(r#""seq":2"#), "{:?}", inbox[1]);
    assert!(
        inbox[1].payload.contains(r#""deleted":true"#),
        "{:?}",
        inbox[1]
    );
    // The key is free, and the number is not used again.
    let again = accept().await.unwrap();
    assert!(matches!(again, herald_store::Accepted::New(_)), "{again:?}");
    let job = claim_one(store, at(9)).await;
    let outcome = Outcome::Dead {
        error: "dead".into(),
    };
    let dead = store.finish(&job, outcome, at(9)).await;
    assert_eq!(dead.unwrap().unwrap().notification.seq, Seq(3));
}

/// Not every database can be asked for it, and others' writes are in the same transaction.
#[tokio::test]
async fn an_id_with_nul_is_nobodys() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    let nul = MessageId::from_string("a\0b");
    let removed = store.remove_message(&ann, &nul, None, at(0)).await;
    assert_eq!(removed.unwrap(), Removed::Unknown);
    assert_eq!(store.message(&ann, &nul).await.unwrap(), None);
}
