//! Writes that fail, and their neighbours.

use futures_util::future::join_all;
use futures_util::{FutureExt as _, poll};
use sqlx::AnyPool;
use tempfile::TempDir;

use super::*;
use crate::{Store, StoreOptions};

async fn store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
    (dir, Store::open(options).await.unwrap())
}

async fn rows(store: &Store) -> Vec<String> {
    sqlx::query_scalar("SELECT name FROM settings ORDER BY name")
        .fetch_all(store.readers().pool())
        .await
        .unwrap()
}

/// What a write does after it has written a row.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Succeed,
    Fail,
    Panic,
    /// Breaks a foreign key in a way that only the commit finds.
    FailToCommit,
}

struct Insert {
    key: String,
    then: Then,
}

impl Operation for Insert {
    type Output = ();

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let conn = tx.connection().await?;
        sqlx::query("INSERT INTO settings (name, value) VALUES ($1, '')")
            .bind(self.key.as_str())
            .execute(&mut *conn)
            .await?;
        match self.then {
            Then::Succeed => {}
            Then::Fail => {
                sqlx::query("INSERT INTO nowhere VALUES (1)")
                    .execute(conn)
                    .await?;
            }
            Then::Panic => panic!("a write that panics"),
            Then::FailToCommit => {
                sqlx::query("PRAGMA defer_foreign_keys = ON")
                    .execute(&mut *conn)
                    .await?;
                sqlx::query(
                    "INSERT INTO notifications (user_id, seq, message_id, status, attempts, created_at)
                     VALUES ('nobody', 1, '', 'dead', 1, 0)",
                )
                .execute(conn)
                .await?;
            }
        }
        Ok(())
    }
}

/// Writes the rows `0`, `1`, ... together.
async fn insert_all(store: &Store, then: &[Then]) -> Vec<Result<(), StoreError>> {
    let inserts = then.iter().enumerate().map(|(key, &then)| {
        let key = key.to_string();
        store.write(Insert { key, then })
    });
    join_all(inserts).await
}

async fn insert(store: &Store, key: &str) {
    let (key, then) = (key.to_owned(), Then::Succeed);
    store.write(Insert { key, then }).await.unwrap();
}

#[tokio::test]
async fn a_write_that_fails_leaves_its_neighbours_alone() {
    let (_dir, store) = store().await;
    let results = insert_all(&store, &[Then::Succeed, Then::Fail, Then::Succeed]).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    assert!(matches!(results[1], Err(StoreError::Database(_))));
    assert_eq!(rows(&store).await, ["0", "2"]);
}

#[tokio::test]
async fn a_write_that_panics_leaves_its_neighbours_and_the_writer_alone() {
    let (_dir, store) = store().await;
    let results = insert_all(&store, &[Then::Succeed, Then::Panic, Then::Succeed]).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    assert!(matches!(results[1], Err(StoreError::Panicked)));
    let (key, then) = ("alone".to_owned(), Then::Panic);
    let alone = store.write(Insert { key, then }).await;
    assert!(matches!(alone, Err(StoreError::Panicked)));
    insert(&store, "3").await;
    assert_eq!(rows(&store).await, ["0", "2", "3"]);
}

#[tokio::test]
async fn a_write_that_fails_alone_leaves_nothing() {
    let (_dir, store) = store().await;
    let results = insert_all(&store, &[Then::Fail]).await;
    assert!(matches!(results[0], Err(StoreError::Database(_))));
    assert!(rows(&store).await.is_empty());
}

#[tokio::test]
async fn if_the_commit_fails_all_are_told_and_nothing_is_written() {
    let (_dir, store) = store().await;
    let results = insert_all(&store, &[Then::Succeed, Then::FailToCommit]).await;
    for result in results {
        assert!(matches!(result, Err(StoreError::Database(_))));
    }
    insert(&store, "next").await;
    assert_eq!(rows(&store).await, ["next"]);
    store.ping().await.unwrap();
}

/// Returns how many rows it sees itself and how many are committed.
struct CountRows {
    readers: AnyPool,
    key: String,
}

impl Operation for CountRows {
    type Output = (i64, i64);

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(i64, i64), StoreError> {
        let conn = tx.connection().await?;
        const COUNT: &str = "SELECT COUNT(*) FROM settings";
        sqlx::query("INSERT INTO settings (name, value) VALUES ($1, '')")
            .bind(self.key.as_str())
            .execute(&mut *conn)
            .await?;
        let own = sqlx::query_scalar(COUNT).fetch_one(conn).await?;
        let committed = sqlx::query_scalar(COUNT).fetch_one(&self.readers).await?;
        Ok((own, committed))
    }
}

#[tokio::test]
async fn writes_that_arrive_together_share_a_transaction() {
    let (_dir, store) = store().await;
    let looks = (0..100).map(|key| {
        store.write(CountRows {
            readers: store.readers().pool().clone(),
            key: key.to_string(),
        })
    });
    let seen = join_all(looks)
        .await
        .into_iter()
        .collect::<Result<Vec<_>, _>>();
    let expected: Vec<_> = (1..=100).map(|own| (own, 0)).collect();
    assert_eq!(seen.unwrap(), expected);
    assert_eq!(rows(&store).await.len(), 100);
}

#[tokio::test]
async fn a_caller_that_stops_waiting_does_not_stop_its_write() {
    let (_dir, store) = store().await;
    for key in ["a", "b"] {
        let (key, then) = (key.to_owned(), Then::Succeed);
        let waiting = store.write(Insert { key, then });
        assert!(
            waiting.now_or_never().is_none(),
            "it is dropped while it waits"
        );
    }
    insert(&store, "c").await;
    assert_eq!(rows(&store).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_full_queue_is_busy_for_those_who_do_not_wait_for_room() {
    let (_dir, store) = store().await;
    let writes = (0..QUEUE + 10).map(|key| {
        let (key, then) = (key.to_string(), Then::Succeed);
        store.try_write(Insert { key, then }, None)
    });
    let results = join_all(writes).await;
    let busy = |result: &&Result<(), StoreError>| matches!(result, Err(StoreError::Busy));
    assert!(results[..QUEUE].iter().all(Result::is_ok));
    assert_eq!(results[QUEUE..].iter().filter(busy).count(), 10);
    assert_eq!(rows(&store).await.len(), QUEUE);
}

#[tokio::test]
async fn a_full_queue_is_waited_for_by_the_others() {
    let (_dir, store) = store().await;
    let results = insert_all(&store, &[Then::Succeed; 3 * QUEUE]).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(rows(&store).await.len(), 3 * QUEUE);
}

#[tokio::test]
async fn closing_finishes_what_is_queued_and_refuses_the_rest() {
    let (dir, store) = store().await;
    let mut writes: Vec<_> = (0..500)
        .map(|key| {
            let (key, then) = (key.to_string(), Then::Succeed);
            Box::pin(store.try_write(Insert { key, then }, None))
        })
        .collect();
    for write in &mut writes {
        assert!(poll!(write).is_pending(), "it is queued");
    }
    store.close().await;
    assert!(join_all(writes).await.iter().all(Result::is_ok));
    let (key, then) = ("late".to_owned(), Then::Succeed);
    let late = store.write(Insert { key, then }).await;
    assert!(matches!(late, Err(StoreError::Closed)));
    assert!(matches!(store.ping().await, Err(StoreError::Closed)));
    store.close().await;

    let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
    let again = Store::open(options).await.unwrap();
    assert_eq!(rows(&again).await.len(), 500);
}

mod deferred;
mod gate;
mod kinds;
mod servers;
