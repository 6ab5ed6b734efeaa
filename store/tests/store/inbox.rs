//! Inboxes.

use crate::common::{Db, at, claim_one, notify, send, user};
use herald_store::{Notification, Outcome, Seq, UserId};
use proptest::prelude::*;

#[tokio::test]
async fn an_inbox_is_read_page_by_page_in_order() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let bob = user(&store, "bob").await;
    let told: Vec<_> = notify(&store, &ann.id, 5)
        .await
        .into_iter()
        .map(|finished| finished.notification)
        .collect();
    notify(&store, &bob.id, 2).await;
    let first = store
        .notifications(&ann.id, Seq::NONE, 3, usize::MAX)
        .await
        .unwrap()
        .items;
    assert_eq!(first, told[..3]);
    let rest = store
        .notifications(&ann.id, Seq(3), 3, usize::MAX)
        .await
        .unwrap()
        .items;
    assert_eq!(rest, told[3..]);
    assert_eq!(
        store
            .notifications(&ann.id, Seq(5), 3, usize::MAX)
            .await
            .unwrap()
            .items,
        []
    );
    assert_eq!(store.position(&ann.id).await.unwrap().last, Seq(5));
    assert_eq!(store.position(&bob.id).await.unwrap().last, Seq(2));
}

#[tokio::test]
async fn a_read_ends_once_it_holds_enough_bytes_but_takes_one_at_least() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let told = notify(&store, &ann.id, 3).await;
    let read = async |after, limit, max_bytes| {
        let read = store
            .notifications(&ann.id, after, limit, max_bytes)
            .await
            .unwrap();
        (read.items.len(), read.more)
    };
    assert_eq!(read(Seq::NONE, 10, 0).await, (1, true));
    assert_eq!(read(Seq::NONE, 10, 1).await, (1, true));
    let first = told[0].notification.payload.len();
    assert_eq!(read(Seq::NONE, 10, 2 * first - 1).await, (1, true));
    assert_eq!(read(Seq::NONE, 10, 2 * first).await, (2, true));
    assert_eq!(read(Seq(2), 10, 1).await, (1, false));
    assert_eq!(read(Seq::NONE, 3, usize::MAX).await, (3, false));
    assert_eq!(read(Seq::NONE, 2, usize::MAX).await, (2, true));
}

#[tokio::test]
async fn the_inbox_of_no_account_is_empty() {
    let Db { store, dir: _dir } = Db::new().await;
    let nobody = UserId::new();
    assert_eq!(
        store
            .notifications(&nobody, Seq::NONE, 3, usize::MAX)
            .await
            .unwrap()
            .items,
        []
    );
    assert_eq!(store.position(&nobody).await.unwrap().last, Seq::NONE);
    assert_eq!(store.position(&nobody).await.unwrap().acked, Seq::NONE);
}

/// Ends the message that is sent next with this outcome, and returns what its owner is told.
pub(crate) async fn ended(db: &Db, user: &UserId, body: &str, outcome: Outcome) -> Notification {
    send(&db.store, user, body, at(0)).await;
    let job = claim_one(&db.store, at(0)).await;
    let finished = db.store.finish(&job, outcome, at(1)).await;
    finished.unwrap().unwrap().notification
}

fn text() -> impl Strategy<Value = String> {
    // What JSON escapes, and what it does not. A NUL is refused before.
    prop_oneof![
        "[\u{1}-\u{1f}\"\\\\/a\u{7f}ü€😀\u{2028}]{0,40}",
        "\\PC{0,40}"
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// It is made from what is stored of the message, and that is stored once.
    #[test]
    fn a_notification_is_read_as_it_was_first_told(
        ends in prop::collection::vec((text(), text(), 0..3_u8), 1..8)
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let db = Db::new().await;
            let ann = user(&db.store, "ann").await.id;
            let mut told = vec![];
            for (body, other, kind) in ends {
                let outcome = match kind {
                    0 => Outcome::Processed { result: body.clone() },
                    1 => Outcome::Processed { result: other },
                    _ => Outcome::Dead { error: other },
                };
                told.push(ended(&db, &ann, &body, outcome).await);
            }
            let read = db.store.notifications(&ann, Seq::NONE, 100, usize::MAX).await;
            assert_eq!(read.unwrap().items, told);
            db.store.close().await;
        });
    }
}

#[tokio::test]
async fn what_differs_between_two_notifications_of_one_message_stays_with_each() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await.id;
    let dead = |error: &str| Outcome::Dead {
        error: error.into(),
    };
    let first = ended(&db, &ann, "hello", dead("first")).await;
    let id = db.store.messages(&ann, None, None, 1).await.unwrap().items[0]
        .id
        .clone();
    let mut told = vec![first];
    for (outcome, time) in [(dead("second"), 3), (crate::common::processed(), 5)] {
        db.store.retry(&id, at(time)).await.unwrap();
        let job = claim_one(&db.store, at(time)).await;
        let finished = db.store.finish(&job, outcome, at(time + 1)).await;
        told.push(finished.unwrap().unwrap().notification);
    }
    let read = db
        .store
        .notifications(&ann, Seq::NONE, 10, usize::MAX)
        .await;
    assert_eq!(read.unwrap().items, told);
}

#[tokio::test]
async fn notifications_of_many_inboxes_are_read_by_their_numbers() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (user(&store, "ann").await.id, user(&store, "bob").await.id);
    let told = [notify(&store, &ann, 4).await, notify(&store, &bob, 2).await];
    let numbers = [
        (bob.clone(), Seq(2)),
        (ann.clone(), Seq(3)),
        (ann.clone(), Seq(1)),
        // Not there, or not yet.
        (bob.clone(), Seq(3)),
        (UserId::from_string("nobody"), Seq(1)),
    ];
    let read = store.numbered_notifications(&numbers, usize::MAX).await;
    let read = read.unwrap();
    assert!(!read.more);
    let mut expected = vec![
        (ann.clone(), told[0][0].notification.clone()),
        (ann.clone(), told[0][2].notification.clone()),
        (bob.clone(), told[1][1].notification.clone()),
    ];
    expected.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(read.items, expected);
    let first = store.numbered_notifications(&numbers, 1).await.unwrap();
    assert_eq!((first.items.as_slice(), first.more), (&expected[..1], true));
    let none = store.numbered_notifications(&[], usize::MAX).await.unwrap();
    assert_eq!((none.items.len(), none.more), (0, false));
}

#[tokio::test]
async fn it_is_known_of_many_users_how_far_their_inboxes_go() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (user(&store, "ann").await.id, user(&store, "bob").await.id);
    notify(&store, &ann, 4).await;
    let mut users: Vec<_> = (0..3000)
        .map(|number| UserId::from_string(format!("nobody {number}")))
        .collect();
    users.insert(0, ann.clone());
    users.push(bob.clone());
    let newest = store.newest_numbers(&users).await.unwrap();
    assert_eq!(newest, [(ann, Seq(4)), (bob, Seq::NONE)]);
    assert_eq!(store.newest_numbers(&[]).await.unwrap(), []);
}
