//! How much may be kept of one user, and that the room comes back.

use herald_store::{Accepted, Outcome, Store, StoreOptions, UserId};

use crate::common::{Db, OwnDatabase, at, claim_one, notify, send, send_many, user};

/// A message without its texts, an attempt that failed without its error, and a notification.
const MESSAGE: u64 = 512;
const FAILED_ATTEMPT: u64 = 64;
const NOTIFICATION: u64 = 128;

async fn limited(stored_bytes: u64) -> (OwnDatabase, Store) {
    let database = OwnDatabase::new().await;
    let options = StoreOptions {
        stored_bytes,
        ..database.options()
    };
    let store = Store::open(options).await.unwrap();
    let delay = herald_store::Delay::Fixed { ms: 0 };
    store.set_delay(delay, false).await.unwrap();
    (database, store)
}

pub(crate) async fn stored(store: &Store, user: &UserId) -> u64 {
    let found = store.stored_bytes(&[user]).await.unwrap();
    found.get(user).copied().unwrap_or_default()
}

async fn accept(store: &Store, user: &UserId, body: &str, key: Option<&str>) -> Accepted {
    let accepted = store.accept(user, body.into(), key.map(Into::into), at(0));
    accepted.await.unwrap()
}

#[tokio::test]
async fn a_user_may_fill_the_room_to_the_last_byte_and_no_further() {
    let (_dir, store) = limited(2 * MESSAGE + 10).await;
    let (ann, bob) = (user(&store, "ann").await.id, user(&store, "bob").await.id);
    let first = accept(&store, &ann, "12345", None).await;
    assert!(matches!(first, Accepted::New(_)), "{first:?}");
    assert_eq!(
        accept(&store, &ann, "123456", None).await,
        Accepted::TooMuchStored
    );
    // The key counts.
    assert_eq!(
        accept(&store, &ann, "1234", Some("12")).await,
        Accepted::TooMuchStored
    );
    let last = accept(&store, &ann, "123", Some("12")).await;
    let Accepted::New(last) = last else {
        panic!("{last:?}")
    };
    assert_eq!(stored(&store, &ann).await, 2 * MESSAGE + 10);
    // A repeat adds nothing.
    let again = accept(&store, &ann, "123", Some("12")).await;
    assert_eq!(again, Accepted::Existing(last));
    let other = accept(&store, &bob, "1234567890", None).await;
    assert!(matches!(other, Accepted::New(_)), "{other:?}");
    store.close().await;
}

#[tokio::test]
async fn sends_that_arrive_together_share_the_room_that_is_left() {
    let (_dir, store) = limited(10 * (MESSAGE + 5)).await;
    let ann = user(&store, "ann").await.id;
    let sends = (0..50).map(|_| accept(&store, &ann, "hello", None));
    let outputs = futures_util::future::join_all(sends).await;
    let taken = outputs.iter().filter(|a| matches!(a, Accepted::New(_)));
    assert_eq!(taken.count(), 10);
    assert_eq!(stored(&store, &ann).await, 10 * (MESSAGE + 5));
    store.close().await;
}

#[tokio::test]
async fn a_result_is_kept_whether_there_is_room_for_it_or_not() {
    let (_dir, store) = limited(MESSAGE + 5).await;
    let ann = user(&store, "ann").await.id;
    send(&store, &ann, "hello", at(0)).await;
    let job = claim_one(&store, at(0)).await;
    let later = store.retry_later(&job, "late".into(), at(1), at(0));
    assert!(later.await.unwrap());
    let failed = MESSAGE + 5 + FAILED_ATTEMPT + 4;
    assert_eq!(stored(&store, &ann).await, failed);
    let job = claim_one(&store, at(1)).await;
    let result = "x".repeat(1000);
    let outcome = Outcome::Processed { result };
    store.finish(&job, outcome, at(2)).await.unwrap().unwrap();
    assert_eq!(stored(&store, &ann).await, failed + 1000 + NOTIFICATION);
    assert_eq!(
        accept(&store, &ann, "x", None).await,
        Accepted::TooMuchStored
    );
    // Once it is forgotten, there is room again.
    store.prune(at(3)).await.unwrap();
    assert_eq!(stored(&store, &ann).await, 0);
    send(&store, &ann, "hello", at(4)).await;
    store.close().await;
}

#[tokio::test]
async fn a_result_that_is_the_body_counts_once() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    send(&store, &ann, "hello", at(0)).await;
    let job = claim_one(&store, at(0)).await;
    let result = "hello".to_owned();
    let outcome = Outcome::Processed { result };
    store.finish(&job, outcome, at(2)).await.unwrap().unwrap();
    assert_eq!(stored(&store, &ann).await, MESSAGE + 5 + NOTIFICATION);
    store.close().await;
}

#[tokio::test]
async fn without_a_limit_any_number_of_bytes_is_taken() {
    let (_dir, store) = limited(0).await;
    let ann = user(&store, "ann").await.id;
    send(&store, &ann, &"x".repeat(100_000), at(0)).await;
    assert_eq!(stored(&store, &ann).await, MESSAGE + 100_000);
    store.close().await;
}

#[tokio::test]
async fn an_account_that_is_deleted_gives_its_room_back_as_it_empties() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (user(&store, "ann").await.id, user(&store, "bob").await.id);
    notify(&store, &ann, 3).await;
    send_many(&store, &ann, 40).await;
    send(&store, &bob, "hello", at(0)).await;
    store.close_user(&ann, at(1)).await.unwrap();
    assert!(stored(&store, &ann).await > 43 * MESSAGE);
    store.empty_user(&ann).await.unwrap();
    assert_eq!(stored(&store, &ann).await, 0);
    store.remove_user(&ann).await.unwrap();
    assert_eq!(store.stored_bytes(&[&ann]).await.unwrap().len(), 0);
    assert_eq!(stored(&store, &bob).await, MESSAGE + 5);
    store.close().await;
}
