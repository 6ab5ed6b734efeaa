//! Retained messages.

use crate::common::{Db, at};
use herald_store::{RetainedChange, RetainedMessage, Timestamp};
use herald_test_databases::DatabaseKind;

fn message(topic: &str, payload: &[u8], expires_at: Option<Timestamp>) -> RetainedMessage {
    RetainedMessage {
        topic: topic.into(),
        payload: payload.to_vec().into(),
        attributes: format!("of {topic}"),
        expires_at,
    }
}

fn set(message: &RetainedMessage) -> RetainedChange {
    RetainedChange::Set(message.clone())
}

fn clear(topic: &str) -> RetainedChange {
    let topic = topic.into();
    RetainedChange::Clear { topic }
}

#[tokio::test]
async fn what_is_retained_is_there_after_a_restart() {
    let db = Db::new().await;
    let (a, b) = (
        message("a/ü", b"\0\xffany bytes", Some(at(100))),
        message("b", b"1", None),
    );
    db.store
        .save_retained(vec![set(&b), set(&a)])
        .await
        .unwrap();
    db.store.close().await;
    let store = db.open_again().await;
    assert_eq!(store.retained(at(0)).await.unwrap(), [a, b]);
}

#[tokio::test]
async fn a_message_is_replaced_whole_or_cleared() {
    let Db { store, dir: _dir } = Db::new().await;
    let old = message("a", b"old", Some(at(100)));
    let new = message("a", b"new", None);
    let other = message("b", b"other", None);
    let changes = vec![set(&old), set(&other), clear("c")];
    store.save_retained(changes).await.unwrap();
    store.save_retained(vec![set(&new)]).await.unwrap();
    assert_eq!(store.retained(at(0)).await.unwrap(), [new, other.clone()]);
    store.save_retained(vec![clear("a")]).await.unwrap();
    assert_eq!(store.retained(at(0)).await.unwrap(), [other]);
    store.save_retained(vec![]).await.unwrap();
}

#[tokio::test]
async fn however_many_are_retained_all_are_read_by_topic() {
    let Db { store, dir: _dir } = Db::new().await;
    // A few pages that are full, and one that is not; none that is not full; one more.
    for (page, sum) in [(100, 100), (28, 128), (1, 129)] {
        let topic = |n| format!("{}/{n}", (n * 7) % 10);
        let more = (sum - page..sum).map(|n| set(&message(&topic(n), b"1", None)));
        store.save_retained(more.collect()).await.unwrap();
        let all = store.retained(at(0)).await.unwrap();
        let read: Vec<_> = all.iter().map(|message| message.topic.clone()).collect();
        let mut topics: Vec<_> = (0..sum).map(topic).collect();
        topics.sort();
        assert_eq!(read, topics);
    }
}

/// 60,000 bytes of a topic that cannot be made shorter, and `last`.
fn long(last: &str) -> String {
    let mut random = 1_u64;
    let mut level = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        format!("{random:016x}/\\")
    };
    let levels = (0..3_334).map(|_| level()).collect::<String>();
    levels + last
}

/// Databases have limits for keys.
#[tokio::test]
async fn topics_may_be_as_long_as_mqtt_has_them() {
    let Db { store, dir: _dir } = Db::new().await;
    let topics = [
        long("a"),
        long("b"),
        "x".repeat(65_535),
        "ü".repeat(32_767),
        "\\x00".into(),
        "\\".into(),
        "\\\\".into(),
        "x".into(),
    ];
    let old = topics.iter().map(|topic| message(topic, b"old", None));
    let old: Vec<_> = old.collect();
    store
        .save_retained(old.iter().map(set).collect())
        .await
        .unwrap();
    let mut new = old.clone();
    new[1] = message(&topics[1], b"new", Some(at(100)));
    let changes = vec![clear(&topics[0]), set(&new[1])];
    store.save_retained(changes).await.unwrap();
    let there = store.retained(at(0)).await.unwrap();
    assert_eq!(there.len(), topics.len() - 1);
    assert!(new[1..].iter().all(|message| there.contains(message)));
}

#[tokio::test]
async fn what_has_expired_is_forgotten() {
    let db = Db::new().await;
    let messages = [
        message("forever", b"x", None),
        message("later", b"x", Some(at(11))),
        message("now", b"x", Some(at(10))),
        message("past", b"x", Some(at(-5))),
    ];
    let changes = messages.iter().map(set).collect();
    db.store.save_retained(changes).await.unwrap();
    let left = db.store.retained(at(10)).await.unwrap();
    assert_eq!(left, messages[..2]);
    assert_eq!(db.store.retained(at(-10)).await.unwrap().len(), 4);
    // Other servers have ten seconds to learn of what was just saved.
    let grace = match crate::DATABASE {
        DatabaseKind::Sqlite => 0,
        _ => 10_000,
    };
    let forget = db.store.forget_expired_retained(at(10 + grace));
    forget.await.unwrap();
    // They are gone from the database, too: an earlier time does not bring them back.
    assert_eq!(db.store.retained(at(-10)).await.unwrap(), left);
}

#[tokio::test]
async fn changes_are_made_all_or_none() {
    let db = Db::new().await;
    let kept = message("kept", b"x", None);
    db.store.save_retained(vec![set(&kept)]).await.unwrap();
    db.execute(match crate::DATABASE {
        DatabaseKind::Sqlite => {
            "CREATE TRIGGER refuse BEFORE INSERT ON retained WHEN NEW.topic = 'refused'
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        }
        _ => "ALTER TABLE retained ADD CONSTRAINT refuse CHECK (topic <> 'refused')",
    })
    .await;
    let changes = vec![
        set(&message("new", b"x", None)),
        clear("kept"),
        set(&message("refused", b"x", None)),
    ];
    db.store.save_retained(changes).await.unwrap_err();
    assert_eq!(db.store.retained(at(0)).await.unwrap(), [kept]);
}

#[tokio::test]
async fn ten_thousand_messages_are_saved_at_once() {
    let Db { store, dir: _dir } = Db::new().await;
    let changes = (0..10_000)
        .map(|n| set(&message(&format!("t/{n}"), b"x", None)))
        .collect();
    store.save_retained(changes).await.unwrap();
    assert_eq!(store.retained(at(0)).await.unwrap().len(), 10_000);
}
