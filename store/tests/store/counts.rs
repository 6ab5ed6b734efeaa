//! How many messages there are.

use crate::DATABASE;
use crate::common::{Db, LEASE, at, claim_one, delete, notify, send, send_many, user};
use herald_store::{Outcome, StatusCounts};
use herald_test_databases::DatabaseKind;

#[tokio::test]
async fn messages_are_counted_by_status() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    notify(&store, &ann.id, 3).await;
    send(&store, &ann.id, "hello", at(0)).await;
    let job = claim_one(&store, at(0)).await;
    let error = "gone".to_owned();
    store
        .finish(&job, Outcome::Dead { error }, at(1))
        .await
        .unwrap();
    send(&store, &ann.id, "hello", at(0)).await;
    claim_one(&store, at(0)).await;
    send(&store, &ann.id, "hello", at(0)).await;
    let counts = StatusCounts {
        queued: 1,
        processing: 1,
        processed: 3,
        dead: 1,
        cancelled: 0,
    };
    assert_eq!(store.counts().await.unwrap(), counts);
}

#[tokio::test]
async fn a_message_that_changes_is_counted_once() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let counts = async || store.counts().await.unwrap();
    let sent = send_many(&store, &ann.id, 3).await;
    let queued = |queued| StatusCounts {
        queued,
        ..StatusCounts::default()
    };
    assert_eq!(counts().await, queued(3));
    let jobs = store.claim(10, LEASE, at(10)).await.unwrap();
    store.renew(&jobs[0], LEASE, at(11)).await.unwrap();
    let processing = StatusCounts {
        processing: 3,
        ..StatusCounts::default()
    };
    assert_eq!(counts().await, processing);
    store.release_all().await.unwrap();
    assert_eq!(counts().await, queued(3));
    let cancel = async |id| store.remove_message(&ann.id, id, None, at(12)).await;
    cancel(&sent[0].id).await.unwrap();
    let cancelled = StatusCounts {
        cancelled: 1,
        ..queued(2)
    };
    assert_eq!(counts().await, cancelled);
    cancel(&sent[0].id).await.unwrap();
    assert_eq!(counts().await, queued(2), "it was deleted");
}

#[tokio::test]
async fn messages_that_are_pruned_are_not_counted_any_more() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    notify(&store, &ann.id, 300).await;
    store.prune(at(100)).await.unwrap();
    assert_eq!(store.counts().await.unwrap(), StatusCounts::default());
}

#[tokio::test]
async fn messages_that_go_with_their_account_are_not_counted_any_more() {
    let db = Db::new().await;
    let store = &db.store;
    let (ann, bob) = (user(store, "ann").await, user(store, "bob").await);
    notify(store, &ann.id, 2).await;
    send(store, &ann.id, "hello", at(0)).await;
    delete(store, &ann.id).await;
    assert_eq!(store.counts().await.unwrap(), StatusCounts::default());

    if matches!(DATABASE, DatabaseKind::MariaDb | DatabaseKind::MySql) {
        // They run no trigger for what they delete by themselves.
        return;
    }
    // What the database deletes by itself.
    notify(store, &bob.id, 2).await;
    send(store, &bob.id, "hello", at(0)).await;
    db.execute("DELETE FROM users").await;
    assert_eq!(db.count("SELECT COUNT(*) FROM messages").await, 0);
    assert_eq!(store.counts().await.unwrap(), StatusCounts::default());
}
