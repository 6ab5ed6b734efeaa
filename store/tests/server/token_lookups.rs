//! Look-ups of tokens on a server that is slow to answer.

use herald_store::StoreError;
use herald_test_databases::DatabaseKind;
use sqlx::{Connection as _, Executor as _};

use crate::DATABASE;
use crate::common::{Db, at};

/// The server says so before it is taken for silent.
#[tokio::test]
async fn a_look_up_behind_a_lock_says_so_and_the_next_one_goes_on() {
    let db = Db::new().await;
    db.store.token_by_hash("hash", at(0)).await.unwrap();
    let mut other = db.connect().await;
    let lock = match DATABASE {
        DatabaseKind::Postgres => "BEGIN; LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE",
        _ => "LOCK TABLES tokens WRITE",
    };
    other.execute(lock).await.unwrap();
    let locked = db.store.token_by_hash("hash", at(0)).await;
    assert!(matches!(locked, Err(StoreError::Locked)), "{locked:?}");
    other.close().await.unwrap();
    let found = db.store.token_by_hash("hash", at(0)).await.unwrap();
    assert!(found.is_none());
    db.store.close().await;
}
