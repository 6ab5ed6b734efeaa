//! What becomes of writes when connections to the server are cut.

use std::sync::atomic::{AtomicUsize, Ordering};

use herald_store::{Accepted, Delay, Store, StoreError, StoreOptions};
use herald_test_databases::{CuttingProxy, Moment};

use crate::DATABASE;
use crate::common::{Db, at, user};

/// A store that speaks to its database through a proxy.
async fn behind(proxy: &CuttingProxy, db: &Db) -> Store {
    let options = StoreOptions {
        url: proxy.url().into(),
        ..db.dir.options()
    };
    Store::open(options).await.unwrap()
}

async fn accept(store: &Store, user: &herald_store::UserId) -> Result<Accepted, StoreError> {
    store.accept(user, "hello".into(), None, at(0)).await
}

/// Whatever message of the transaction is lost before the commit: the send is accepted, once.
#[tokio::test]
async fn a_connection_that_is_cut_before_the_commit_costs_a_moment() {
    let db = Db::new().await;
    let proxy = CuttingProxy::start(DATABASE, db.dir.url()).await;
    let store = behind(&proxy, &db).await;
    let ann = user(&db.store, "ann").await.id;
    let mut sent = 0;
    for number in 0..6 {
        // Prepared by then: the messages are the same each time.
        assert!(matches!(accept(&store, &ann).await, Ok(Accepted::New(_))));
        let seen = AtomicUsize::new(0);
        let cut = proxy.cut_at(Moment::Before, move |message| {
            !message.is_commit() && seen.fetch_add(1, Ordering::Relaxed) >= number
        });
        let accepted = accept(&store, &ann).await;
        assert!(matches!(accepted, Ok(Accepted::New(_))), "{accepted:?}");
        assert!(cut.done().is_some(), "{number}");
        sent += 2;
    }
    assert_eq!(db.store.counts().await.unwrap().queued, sent);
    store.close().await;
}

/// The caller learns that it is not known; what was written is there once.
#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_an_error_and_the_store_goes_on() {
    let db = Db::new().await;
    let proxy = CuttingProxy::start(DATABASE, db.dir.url()).await;
    let store = behind(&proxy, &db).await;
    let ann = user(&db.store, "ann").await.id;
    let cut = proxy.cut_at(Moment::Answered, |message| message.is_commit());
    let unknown = accept(&store, &ann).await.unwrap_err();
    assert!(
        matches!(unknown, StoreError::Unreachable { .. }),
        "{unknown:?}"
    );
    assert!(cut.done().is_some());
    assert_eq!(db.store.counts().await.unwrap().queued, 1);
    assert!(matches!(accept(&store, &ann).await, Ok(Accepted::New(_))));
    assert_eq!(db.store.counts().await.unwrap().queued, 2);
    store.close().await;
}

#[tokio::test]
async fn writes_wait_for_a_server_that_comes_back() {
    let db = Db::new().await;
    let mut proxy = CuttingProxy::start(DATABASE, db.dir.url()).await;
    let store = behind(&proxy, &db).await;
    proxy.refuse().await;
    proxy.cut_all();
    let write = store.set_delay(Delay::Fixed { ms: 7 }, false);
    tokio::pin!(write);
    assert!(futures_util::poll!(&mut write).is_pending());
    proxy.admit();
    write.await.unwrap();
    assert_eq!(db.store.delay().await.unwrap(), Delay::Fixed { ms: 7 });
    store.close().await;
}
