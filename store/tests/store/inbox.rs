//! Inboxes and acknowledgements.

use crate::common::{Db, at, notify, user};
use herald_store::{Seq, UserId};

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
    assert_eq!(read(Seq::NONE, 10, first + 1).await, (2, true));
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
    store.acknowledge(&[(nobody, Seq(7))], at(0)).await.unwrap();
    store.acknowledge(&[], at(0)).await.unwrap();
}

#[tokio::test]
async fn an_acknowledgement_never_goes_back_or_beyond_the_newest() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    notify(&store, &ann.id, 3).await;
    for (up_to, acked) in [(0, 0), (2, 2), (1, 2), (-5, 2), (99, 3), (3, 3)] {
        store
            .acknowledge(&[(ann.id.clone(), Seq(up_to))], at(9))
            .await
            .unwrap();
        assert_eq!(
            store.position(&ann.id).await.unwrap().acked,
            Seq(acked),
            "after {up_to}"
        );
    }
    notify(&store, &ann.id, 1).await;
    assert_eq!(store.position(&ann.id).await.unwrap().acked, Seq(3));
}

#[tokio::test]
async fn many_users_acknowledge_at_once() {
    let Db { store, dir: _dir } = Db::new().await;
    let mut up_to = Vec::new();
    for number in 1..=5_usize {
        let owner = user(&store, &format!("user{number}")).await;
        notify(&store, &owner.id, number).await;
        up_to.push((owner.id, Seq(number as i64)));
    }
    // The same user twice, the lower number last.
    up_to.push((up_to[4].0.clone(), Seq(1)));
    store.acknowledge(&up_to, at(9)).await.unwrap();
    for (owner, seq) in &up_to[..5] {
        assert_eq!(store.position(owner).await.unwrap().acked, *seq);
    }
}

#[tokio::test]
async fn a_message_is_delivered_when_its_notification_is_first_acknowledged() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let bob = user(&store, "bob").await;
    notify(&store, &ann.id, 3).await;
    notify(&store, &bob.id, 1).await;
    let delivered = async |owner: &UserId| -> Vec<_> {
        let mut messages = store.messages(owner, None, None, 10).await.unwrap();
        messages.reverse();
        messages
            .into_iter()
            .map(|message| message.delivered_at)
            .collect()
    };
    store
        .acknowledge(&[(ann.id.clone(), Seq(2))], at(10))
        .await
        .unwrap();
    assert_eq!(delivered(&ann.id).await, [Some(at(10)), Some(at(10)), None]);
    store
        .acknowledge(&[(ann.id.clone(), Seq(3))], at(20))
        .await
        .unwrap();
    store
        .acknowledge(&[(ann.id.clone(), Seq(3))], at(30))
        .await
        .unwrap();
    assert_eq!(
        delivered(&ann.id).await,
        [Some(at(10)), Some(at(10)), Some(at(20))]
    );
    assert_eq!(delivered(&bob.id).await, [None]);
}
