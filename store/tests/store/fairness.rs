//! Users take turns, however many messages each of them has.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use herald_store::{Job, Store, UserId};

use crate::common::{Db, LEASE, at, send, user};

async fn send_many(store: &Store, user: &UserId, count: usize) {
    for _ in 0..count.div_ceil(500) {
        let sends = (0..count.min(500)).map(|_| send(store, user, "hello", at(0)));
        join_all(sends).await;
    }
}

async fn claim(store: &Store, limit: u32) -> Vec<Job> {
    store.claim(limit, LEASE, at(1)).await.unwrap()
}

#[tokio::test]
async fn one_message_does_not_wait_for_the_thousands_of_another() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    let bob = user(&store, "bob").await.id;
    send_many(&store, &ann, 5_000).await;
    claim(&store, 16).await;
    send(&store, &bob, "alone", at(1)).await;
    let next = claim(&store, 16).await;
    assert!(next.iter().any(|job| job.user_id == bob));
    assert!(next.iter().any(|job| job.user_id == ann));
    // And those of the many are not held back by it.
    assert_eq!(claim(&store, 16).await.len(), 16);
}

#[tokio::test]
async fn each_user_has_a_turn_before_any_has_another() {
    let Db { store, dir: _dir } = Db::new().await;
    let mut users = BTreeSet::new();
    for number in 0..20 {
        let user = user(&store, &format!("user{number}")).await.id;
        send_many(&store, &user, 10).await;
        users.insert(user);
    }
    let mut now = 0;
    // Fewer than there are users, so that it takes several claims until all had their turn.
    for limit in [1, 3, 5, 3, 1] {
        let mut waiting = users.clone();
        while !waiting.is_empty() {
            now += 1;
            let jobs = store.claim(limit, LEASE, at(now)).await.unwrap();
            assert_eq!(jobs.len(), limit as usize);
            let left = waiting.len();
            for job in &jobs {
                waiting.remove(&job.user_id);
            }
            let had_a_turn = left - waiting.len();
            assert_eq!(had_a_turn, left.min(jobs.len()), "someone had two");
        }
    }
}

#[tokio::test]
async fn the_messages_of_a_user_are_claimed_in_their_order() {
    let Db { store, dir: _dir } = Db::new().await;
    let mut sent = BTreeMap::<UserId, Vec<String>>::new();
    for number in 0..5 {
        let user = user(&store, &format!("user{number}")).await.id;
        for body in 0..=number * 6 {
            let message = send(&store, &user, &body.to_string(), at(0)).await;
            let messages = sent.entry(user.clone()).or_default();
            messages.push(message.id.to_string());
        }
    }
    let mut claimed = BTreeMap::<UserId, Vec<String>>::new();
    let mut limits = [1, 2, 7, 16].into_iter().cycle();
    loop {
        let jobs = claim(&store, limits.next().unwrap()).await;
        if jobs.is_empty() {
            break;
        }
        for job in jobs {
            let messages = claimed.entry(job.user_id).or_default();
            messages.push(job.id.to_string());
        }
    }
    assert_eq!(claimed, sent);
}
