//! Nobody waits for rows that are another's. MariaDB and MySQL lock also what a statement only passes or reads: each of these
//! waited there, and could have met another in a deadlock.

use std::future::Future;
use std::time::Duration;

use herald_store::{RetainedChange, RetainedMessage};
use herald_test_databases::DatabaseKind;
use sqlx::{Connection as _, Executor as _};
use tokio::time::timeout;

use crate::DATABASE;
use crate::common::{Db, at, begin_session, claim_one, new_session, notify, send, up_to, user};

/// Too short for what does not come.
const MOMENT: Duration = Duration::from_millis(50);

/// Does something while another writer is in a transaction that has run `sql`.
async fn beside<T>(db: &Db, sql: &'static str, what: impl Future<Output = T>) -> T {
    let mut other = db.connect().await;
    other.execute("BEGIN").await.unwrap();
    other.execute(sql).await.unwrap();
    let done = what.await;
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    done
}

#[tokio::test]
async fn a_session_begins_while_another_is_used() {
    let db = Db::new().await;
    let (ann, bob) = (user(&db.store, "ann").await, user(&db.store, "bob").await);
    begin_session(&db.store, &ann.id, "old", at(5), at(0)).await;
    begin_session(&db.store, &bob.id, "other", at(90), at(0)).await;
    let used = "UPDATE sessions SET last_used_at = last_used_at + 1 WHERE secret_hash = 'other'";
    let begun = db
        .store
        .create_session(&ann.id, new_session("new", at(90)), at(9));
    beside(&db, used, begun).await.unwrap();
    assert!(db.store.session("new", at(9)).await.unwrap().is_some());
    assert_eq!(db.count("SELECT COUNT(*) FROM sessions").await, 2);
}

#[tokio::test]
async fn a_notification_is_acknowledged_while_it_is_being_deleted() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    notify(&db.store, &ann.id, 3).await;
    let acknowledged = [up_to(&ann.id, 3)];
    let acknowledge = db.store.acknowledge(&acknowledged, at(9));
    beside(&db, "DELETE FROM notifications", acknowledge)
        .await
        .unwrap();
    let marked = "SELECT COUNT(*) FROM messages WHERE delivered_at IS NOT NULL";
    assert_eq!(db.count(marked).await, 3);
}

#[tokio::test]
async fn retained_messages_expire_and_are_cleared_while_another_is_set() {
    let db = Db::new().await;
    let retained = |topic: &str, expires_at| RetainedMessage {
        topic: topic.into(),
        payload: "1".into(),
        attributes: String::new(),
        expires_at,
    };
    let (a, b) = (retained("a", Some(at(5))), retained("b", None));
    let set = [&a, &b].map(|message| RetainedChange::Set(message.clone()));
    db.store.save_retained(set.into()).await.unwrap();
    let other =
        "INSERT INTO retained (topic, payload, attributes, revision) VALUES ('c', '', '', 7)";
    let forget = db.store.forget_expired_retained(at(20_000));
    beside(&db, other, forget).await.unwrap();
    assert_eq!(db.store.retained(at(0)).await.unwrap(), [b]);
    let topic = "b".into();
    let clear = db.store.save_retained(vec![RetainedChange::Clear { topic }]);
    beside(&db, other, clear).await.unwrap();
    assert_eq!(db.store.retained(at(9)).await.unwrap(), []);
}

#[tokio::test]
async fn a_topic_is_cleared_while_one_that_begins_alike_is_set() {
    let db = Db::new().await;
    let retained = |end: &str| RetainedMessage {
        topic: "a".repeat(300) + end,
        payload: "1".into(),
        attributes: String::new(),
        expires_at: None,
    };
    let (b, c) = (retained("b"), retained("c"));
    let set = [&b, &c].map(|message| RetainedChange::Set(message.clone()));
    db.store.save_retained(set.into()).await.unwrap();
    let topic = b.topic;
    let clear = db.store.save_retained(vec![RetainedChange::Clear { topic }]);
    let other = match DATABASE {
        DatabaseKind::Postgres => "UPDATE retained SET payload = '2' WHERE topic LIKE '%c'",
        // By its key: it would lock all that it passes.
        _ => "UPDATE retained SET payload = '2' WHERE row_id = 2",
    };
    beside(&db, other, clear).await.unwrap();
    assert_eq!(db.store.retained(at(9)).await.unwrap(), [c]);
}

/// What is queued as turns are begun anew has its turn.
#[tokio::test]
async fn nothing_is_stranded_between_a_send_and_a_start() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    send(&db.store, &ann.id, "later", at(1000)).await;
    let mut other = db.connect().await;
    for sql in [
        "BEGIN",
        "SELECT user_id FROM user_queues FOR UPDATE",
        "INSERT INTO messages (id, user_id, body, status, created_at, run_at)
         SELECT 'now', id, 'now', 'queued', 0, 0 FROM users",
        "UPDATE user_queues SET open = open + 1, turn_at = 0",
    ] {
        other.execute(sql).await.unwrap();
    }
    let started = db.store.release_all();
    tokio::pin!(started);
    assert!(timeout(MOMENT, &mut started).await.is_err(), "it waits");
    other.execute("COMMIT").await.unwrap();
    started.await.unwrap();
    assert_eq!(claim_one(&db.store, at(1)).await.body, "now");
    other.close().await.unwrap();
}
