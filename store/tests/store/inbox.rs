//! Inboxes.

use crate::common::{Db, notify, user};
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
}
