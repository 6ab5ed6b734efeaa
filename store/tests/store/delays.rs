//! Delays of single users, and what a new delay does to messages that wait.

use std::time::Duration;

use herald_store::{Accepted, Delay, DelayError, Message, Status, Store, StoreError, UserId};

use crate::common::{Db, LEASE, at, claim_one, processed, send, send_many, user};

const HOUR: u64 = 3_600_000;

fn fixed(ms: u64) -> Delay {
    Delay::Fixed { ms }
}

async fn due(store: &Store, message: &Message) -> i64 {
    let found = store.any_message(&message.id).await.unwrap().unwrap();
    found.run_at.as_millis() - found.created_at.as_millis()
}

#[tokio::test]
async fn a_user_with_a_delay_of_their_own_waits_as_long_and_others_do_not() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (user(&store, "ann").await, user(&store, "bob").await);
    assert_eq!(store.user_delay(&ann.id).await.unwrap(), None);
    let set = store.set_user_delay(&ann.id, Some(fixed(700)), false);
    assert_eq!(set.await.unwrap(), Some(0));
    assert_eq!(store.user_delay(&ann.id).await.unwrap(), Some(fixed(700)));
    assert_eq!(send(&store, &ann.id, "a", at(0)).await.run_at, at(700));
    assert_eq!(send(&store, &bob.id, "b", at(0)).await.run_at, at(0));
    let set = store.set_user_delay(&ann.id, None, false).await.unwrap();
    assert_eq!(set, Some(0));
    assert_eq!(send(&store, &ann.id, "a", at(0)).await.run_at, at(0));

    let nobody = UserId::new();
    let set = store.set_user_delay(&nobody, Some(fixed(1)), true).await;
    assert_eq!(set.unwrap(), None);
    let ms = Delay::MAX_MS + 1;
    let set = store.set_user_delay(&ann.id, Some(fixed(ms)), false).await;
    let expected = DelayError::TooLong { ms };
    assert!(matches!(set, Err(StoreError::Delay(e)) if e == expected));
}

#[tokio::test]
async fn a_delay_for_all_does_not_move_what_waits_of_a_user_with_another() {
    let Db { store, dir: _dir } = Db::new().await;
    store.set_delay(fixed(HOUR), false).await.unwrap();
    let mut sent = vec![];
    // Whoever comes first in the order of ids, and more than one step of each.
    for name in ["ann", "bob", "cid"] {
        let user = user(&store, name).await;
        if name == "bob" {
            let own = Some(fixed(2 * HOUR));
            store.set_user_delay(&user.id, own, false).await.unwrap();
        }
        sent.push(send_many(&store, &user.id, 600).await);
    }
    assert_eq!(store.set_delay(fixed(7), true).await.unwrap(), 1200);
    for (messages, expected) in sent.iter().zip([7, 2 * HOUR, 7]) {
        for message in messages {
            assert_eq!(due(&store, message).await.unsigned_abs(), expected);
        }
    }
    let bob = &sent[1][0].user_id;
    let moved = store.set_user_delay(bob, Some(fixed(9)), true);
    assert_eq!(moved.await.unwrap(), Some(600));
    assert_eq!(due(&store, &sent[1][599]).await, 9);
    assert_eq!(due(&store, &sent[0][0]).await, 7);
    let moved = store.set_user_delay(bob, None, true).await.unwrap();
    assert_eq!(moved, Some(600));
    assert_eq!(due(&store, &sent[1][0]).await, 7);
}

/// Each is moved over those that are still to be moved, and is met again.
#[tokio::test]
async fn messages_that_are_moved_ahead_are_moved_once() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let sent = send_many(&store, &ann.id, 1500).await;
    let later = Delay::Uniform {
        min_ms: 0,
        max_ms: 1_000_000,
    };
    // Some stay where they are by chance.
    let moved = store.set_delay(later, true).await.unwrap();
    assert!((1490..=1500).contains(&moved), "{moved}");
    let mut sum = 0;
    for message in &sent {
        sum += due(&store, message).await;
    }
    // Ten standard deviations of the mean of as many: met again, they were not drawn again.
    let mean = sum / 1500;
    assert!((425_000..=575_000).contains(&mean), "{mean}");
}

#[tokio::test]
async fn what_is_moved_ahead_and_back_is_claimed_when_it_is_due() {
    let Db { store, dir: _dir } = Db::new().await;
    store.set_delay(fixed(HOUR), false).await.unwrap();
    let ann = user(&store, "ann").await;
    send_many(&store, &ann.id, 300).await;
    let claim = async |ms| store.claim(500, LEASE, at(ms)).await.unwrap().len();
    store.set_delay(fixed(1000), true).await.unwrap();
    assert_eq!(claim(999).await, 0);
    assert_eq!(store.next_due().await.unwrap(), Some(at(1000)));
    store.set_delay(fixed(5000), true).await.unwrap();
    assert_eq!(claim(4999).await, 0);
    // The turn that came too early was put right.
    assert_eq!(store.next_due().await.unwrap(), Some(at(5000)));
    assert_eq!(store.oldest_due().await.unwrap(), Some(at(5000)));
    assert_eq!(claim(5009).await, 10);
    assert_eq!(claim(6000).await, 290);
    assert_eq!(store.oldest_due().await.unwrap(), None);
}

#[tokio::test]
async fn what_waits_after_a_failure_is_not_moved() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let message = send(&store, &ann.id, "hello", at(0)).await;
    let job = claim_one(&store, at(0)).await;
    assert_eq!(job.due, at(0));
    let later = store.retry_later(&job, "no".into(), at(60_000), at(1));
    assert!(later.await.unwrap());
    assert_eq!(store.set_delay(fixed(5), true).await.unwrap(), 0);
    assert_eq!(due(&store, &message).await, 60_000);
    let job = claim_one(&store, at(60_000)).await;
    let finished = store.finish(&job, processed(), at(60_004)).await.unwrap();
    let finished = finished.unwrap();
    // It says when it was due last.
    assert_eq!((finished.due, finished.ended_at), (at(60_000), at(60_004)));
}

/// Another write never waits for more than one step.
#[tokio::test]
async fn others_are_served_while_messages_are_moved() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (user(&store, "ann").await, user(&store, "bob").await);
    store.set_delay(fixed(HOUR), false).await.unwrap();
    let sent = send_many(&store, &ann.id, 5000).await;
    let set = store.set_delay(fixed(2 * HOUR), true);
    tokio::pin!(set);
    let mut served = 0;
    let moved = loop {
        let send = store.accept(&bob.id, "hello".into(), None, at(0));
        tokio::select! {
            biased;
            moved = &mut set => break moved.unwrap(),
            sent = send => assert!(matches!(sent, Ok(Accepted::New(_)))),
        }
        served += 1;
    };
    // Steps of a few hundred: had it been one write, none but the first could have been served meanwhile.
    assert!(served >= 5, "{served}");
    assert!(moved >= 5000);
    assert_eq!(due(&store, &sent[4999]).await.unsigned_abs(), 2 * HOUR);
    let message = store.any_message(&sent[0].id).await.unwrap().unwrap();
    assert_eq!(message.status, Status::Queued);
    assert_eq!(
        message.run_at,
        message.created_at + Duration::from_millis(2 * HOUR)
    );
}
