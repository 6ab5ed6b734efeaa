//! Sends that are repeated with an idempotency key.

use crate::common::{Db, LEASE, at, processed, user};
use futures_util::future::join_all;
use herald_store::{Accepted, Status, UserId};

#[tokio::test]
async fn the_same_key_with_the_same_body_is_the_same_message() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let bob = user(&store, "bob").await;
    let accept = |user: &UserId, body: &str, now| {
        let (store, user, body) = (store.clone(), user.clone(), body.to_owned());
        async move {
            store
                .accept(&user, body, Some("k".into()), now)
                .await
                .unwrap()
        }
    };
    let Accepted::New(first) = accept(&ann.id, "hello", at(0)).await else {
        panic!("the first one is new");
    };
    assert_eq!(
        accept(&ann.id, "hello", at(9)).await,
        Accepted::Existing(first.clone())
    );
    assert_eq!(accept(&ann.id, "other", at(9)).await, Accepted::KeyConflict);
    assert!(matches!(
        accept(&bob.id, "other", at(9)).await,
        Accepted::New(_)
    ));
    assert_eq!(
        store.messages(&ann.id, None, None, 10).await.unwrap().items,
        std::slice::from_ref(&first)
    );

    let job = store.claim(1, LEASE, at(9)).await.unwrap().remove(0);
    store
        .finish(&job, processed(), at(10))
        .await
        .unwrap()
        .unwrap();
    let Accepted::Existing(again) = accept(&ann.id, "hello", at(11)).await else {
        panic!("it exists");
    };
    assert_eq!((again.id, again.status), (first.id, Status::Processed));
}

#[tokio::test]
async fn of_many_sends_with_one_key_at_once_one_is_new() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let sends = (0..50).map(|_| store.accept(&ann.id, "hello".into(), Some("k".into()), at(0)));
    let mut new = 0;
    for accepted in join_all(sends).await {
        match accepted.unwrap() {
            Accepted::New(_) => new += 1,
            Accepted::Existing(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(new, 1);
}
