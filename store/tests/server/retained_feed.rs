//! What other servers learn of retained messages.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use herald_store::{
    Membership, RetainedChange, RetainedMessage, RetainedRow, Store, StoreError, Timestamp,
};

use crate::common::{Db, at};

fn message(topic: &str, payload: &str) -> RetainedMessage {
    RetainedMessage {
        topic: topic.into(),
        payload: payload.to_owned().into(),
        attributes: String::new(),
        expires_at: None,
    }
}

fn set(topic: &str, payload: &str) -> RetainedChange {
    RetainedChange::Set(message(topic, payload))
}

fn clear(topic: &str) -> RetainedChange {
    let topic = topic.into();
    RetainedChange::Clear { topic }
}

async fn since(store: &Store, after: i64) -> Vec<RetainedRow> {
    store.retained_since(after).await.unwrap().unwrap()
}

#[tokio::test]
async fn changes_are_read_in_order_and_a_topic_that_is_cleared_is_one_of_them() {
    let db = Db::new().await;
    let other = db.open_again().await;
    assert_eq!(since(&other, 0).await, []);
    assert_eq!(other.last_retained_change().await.unwrap(), 0);
    let changes = vec![set("a", "1"), set("b", "1"), set("c", "1")];
    db.store.save_retained(changes).await.unwrap();
    let changes = vec![set("a", "2"), clear("b")];
    other.save_retained(changes).await.unwrap();
    let row = |topic: &str, payload: Option<&str>, revision| RetainedRow {
        topic: topic.into(),
        message: payload.map(|payload| message(topic, payload)),
        revision,
    };
    let (a, b, c) = (row("a", Some("2"), 4), row("b", None, 5), row("c", Some("1"), 3));
    assert_eq!(since(&db.store, 0).await, [c.clone(), a.clone(), b.clone()]);
    assert_eq!(since(&db.store, 3).await, [a.clone(), b.clone()]);
    assert_eq!(since(&db.store, 5).await, []);
    assert_eq!(db.store.last_retained_change().await.unwrap(), 5);
    let mut of = db.store.retained_of(&["b", "a", "x"]).await.unwrap();
    of.sort_by(|one, other| one.topic.cmp(&other.topic));
    assert_eq!(of, [a.clone(), b]);
    let all = db.store.retained(at(0)).await.unwrap();
    assert_eq!(all, [a, c].map(|row| row.message.unwrap()));
}

#[tokio::test]
async fn who_has_missed_what_is_forgotten_is_told_so() {
    let db = Db::new().await;
    let changes = vec![set("a", "1"), set("b", "1"), clear("a"), set("c", "1")];
    for change in changes {
        db.store.save_retained(vec![change]).await.unwrap();
    }
    let forget = async |hours: u64| {
        let then = Timestamp::now() + Duration::from_secs(hours * 3600);
        db.store.forget_expired_retained(then).await.unwrap();
    };
    forget(23).await;
    assert_eq!(since(&db.store, 2).await.len(), 2, "it is known for a day");
    forget(25).await;
    assert_eq!(db.store.retained_since(2).await.unwrap(), None);
    assert_eq!(since(&db.store, 3).await.len(), 1);
    // A database that has lost what was known.
    assert_eq!(db.store.retained_since(5).await.unwrap(), None);
    assert_eq!(db.store.retained(at(0)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn whoever_follows_has_in_the_end_what_is_retained() {
    let db = Db::new().await;
    let stores = join_all((0..3).map(|_| db.open_again())).await;
    let saving = join_all(stores.iter().zip(0..).map(async |(store, server)| {
        for n in 0..60 {
            // Of 7 topics, some cleared, several at once in an order of each server's own.
            let topics = [0, 1, 2].map(|i| (n * (server + 1) + i * (server + 2)) % 7);
            let topics: std::collections::BTreeSet<_> = topics.into();
            let change = |topic: u32| match (n + topic) % 5 {
                0 => clear(&topic.to_string()),
                _ => set(&topic.to_string(), &format!("{server} {n}")),
            };
            let mut changes: Vec<_> = topics.into_iter().map(change).collect();
            if server == 1 {
                changes.reverse();
            }
            store.save_retained(changes).await.unwrap();
        }
    }));
    let mut saving = std::pin::pin!(saving);
    let (mut seen, mut known, mut is_over) = (0, BTreeMap::new(), false);
    loop {
        let changes = since(&db.store, seen).await;
        if changes.is_empty() && is_over {
            break;
        }
        for change in changes {
            assert!(change.revision > seen, "in order");
            seen = change.revision;
            known.insert(change.topic, change.message);
        }
        tokio::select! {
            biased;
            _ = &mut saving, if !is_over => is_over = true,
            () = tokio::task::yield_now() => {}
        }
    }
    let known: Vec<_> = known.into_values().flatten().collect();
    assert_eq!(known, db.store.retained(at(0)).await.unwrap());
}

#[tokio::test]
async fn a_server_that_others_hold_to_be_gone_saves_nothing() {
    let db = Db::new().await;
    let mut membership = Membership::of(&db.store).unwrap();
    let node = membership.join("here", "1.2.3", 0, None).await.unwrap();
    db.store.save_retained(vec![set("a", "1")]).await.unwrap();
    db.execute("UPDATE nodes SET lease_until = lease_until - 60000")
        .await;
    let refused = db.store.save_retained(vec![set("a", "2")]).await;
    assert!(matches!(refused, Err(StoreError::Unreachable { .. })));
    membership
        .join("here", "1.2.3", 0, Some(&node))
        .await
        .unwrap();
    assert_eq!(db.store.retained(at(0)).await.unwrap(), [message("a", "1")]);
    db.store.save_retained(vec![set("a", "3")]).await.unwrap();
    membership.close().await;
}
