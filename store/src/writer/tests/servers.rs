//! What a server says against a write.

use std::sync::atomic::{AtomicUsize, Ordering};

use herald_test_databases::{DatabaseKind, TestDatabase};
use rstest::rstest;
use sqlx::{Connection as _, Executor as _};

use super::*;
use crate::statement::Statement;
use crate::writer::batch::Batch;
use crate::writer::waiting::State;

/// Returns how often it was run and the number of the connection, once it was in the way of another writer.
struct Conflicting {
    kind: DatabaseKind,
    runs: AtomicUsize,
}

impl Operation for Conflicting {
    type Output = (usize, i64);

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(usize, i64), StoreError> {
        let conn = tx.connection().await?;
        let (number, conflict) = match self.kind {
            DatabaseKind::Postgres => (
                "SELECT CAST(pg_backend_pid() AS BIGINT)",
                "DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$",
            ),
            _ => (
                "SELECT CAST(CONNECTION_ID() AS SIGNED)",
                "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213",
            ),
        };
        let number = sqlx::query_scalar(number).fetch_one(&mut *conn).await?;
        let runs = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        if runs == 2 {
            conn.execute(conflict).await?;
        }
        Ok((runs, number))
    }
}

#[rstest]
#[tokio::test]
async fn a_conflict_costs_no_connection(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = TestDatabase::empty(kind).await else {
        return;
    };
    let store = Store::open(StoreOptions::at(database.url().into())).await;
    let store = store.unwrap();
    let mut numbers = vec![];
    for (runs, expected) in [(0, 1), (1, 3)] {
        let runs = AtomicUsize::new(runs);
        let (runs, number) = store.write(Conflicting { kind, runs }).await.unwrap();
        assert_eq!(runs, expected);
        numbers.push(number);
    }
    assert_eq!(numbers[0], numbers[1]);
    store.close().await;
}

/// A write that locks a user's queue.
struct Locking(&'static str);

impl Operation for Locking {
    type Output = ();

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&crate::UserId::from_string(self.0));
    }

    async fn run(&self, _tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What came of writes of these users with so many seconds left each, and so many to be begun in; `None`: they still wait.
fn told(
    state: State,
    writes: &[(&'static str, u64, Option<u64>)],
    fail: impl FnOnce(&mut Batch, Instant),
) -> Vec<Option<String>> {
    let now = Instant::now();
    let in_seconds = |seconds| now + Duration::from_secs(seconds);
    let mut results = vec![];
    let queued = writes.iter().map(|&(user, seconds, begin_in)| {
        let (caller, result) = oneshot::channel();
        results.push(result);
        let deadline = Some(in_seconds(seconds));
        let mut waiting = Waiting::new(Locking(user), deadline, caller);
        waiting.begin_by = begin_in.map(in_seconds);
        waiting.state = state;
        Box::new(waiting) as Box<dyn Queued>
    });
    let mut batch = Batch::of(queued);
    fail(&mut batch, now + Duration::from_secs(2));
    batch.send_settled(&Notify::new());
    let told = |mut result: oneshot::Receiver<Result<(), StoreError>>| {
        let told = result.try_recv().ok()?;
        Some(format!("{:?}", told.unwrap_err()))
    };
    results.into_iter().map(told).collect()
}

#[test]
fn what_has_no_time_left_was_not_written_nor_is_what_would_come_before_it() {
    let writes = [("ann", 1, None), ("bob", 3, None), ("ann", 3, None)];
    let told = told(State::Open, &writes, |batch, time| {
        batch.fail_open(time, &StoreError::Busy);
    });
    let busy = Some("Busy".to_owned());
    assert_eq!(told, [busy.clone(), None, busy]);
}

#[test]
fn whose_caller_has_no_time_left_is_not_begun_and_takes_no_other_along() {
    let writes = [("ann", 9, Some(1)), ("ann", 9, Some(3)), ("ann", 9, None)];
    let told = told(State::Open, &writes, |batch, time| {
        batch.fail_open(time, &StoreError::Busy);
    });
    assert_eq!(told, [Some("Busy".to_owned()), None, None]);
}

#[test]
fn of_what_is_in_doubt_nothing_is_known_when_its_time_is_over() {
    let told = told(
        State::Committing,
        &[("ann", 1, None), ("ann", 3, Some(1))],
        |batch, time| {
            batch.fail_open(time, &StoreError::Busy);
            batch.fail_committing(time);
        },
    );
    let unknown = told[0].as_ref().unwrap();
    assert!(unknown.starts_with("Unreachable"), "{unknown}");
    assert_eq!(told[1], None);
}

/// Writes a row, slowly.
struct Slow {
    kind: DatabaseKind,
    millis: u32,
    key: String,
}

impl Operation for Slow {
    type Output = ();

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let millis = self.millis;
        let sleep = match self.kind {
            DatabaseKind::Postgres => format!("SELECT pg_sleep({millis} / 1000.0)"),
            _ => format!("DO SLEEP({millis} / 1000.0)"),
        };
        let sleep = sqlx::AssertSqlSafe(sleep);
        tx.connection().await?.execute(sleep).await?;
        let insert = Statement::new("INSERT INTO settings (name, value) VALUES ($1, '')");
        tx.execute(insert.bind(self.key.clone())).await.map(drop)
    }
}

async fn write_slowly(
    store: &Store,
    kind: DatabaseKind,
    count: usize,
    millis: u32,
) -> Vec<Result<(), StoreError>> {
    let slow = |number: usize| {
        let key = format!("{number} of {count}");
        store.write(Slow { kind, millis, key })
    };
    join_all((0..count).map(slow)).await
}

/// What a server stops by itself holds up no others, and its caller is told so. (MariaDB ends a sleep as if it was over.)
#[tokio::test]
async fn a_statement_that_takes_too_long_fails_by_itself() {
    let kind = DatabaseKind::Postgres;
    let Some(database) = TestDatabase::empty(kind).await else {
        return;
    };
    let store = Store::open(StoreOptions::at(database.url().into())).await;
    let store = store.unwrap();
    let slow = write_slowly(&store, kind, 1, 60_000);
    let others = join_all((0..3).map(|_| store.write(Locking("ann"))));
    let (slow, others) = tokio::join!(slow, others);
    assert!(matches!(slow[..], [Err(StoreError::TooSlow)]), "{slow:?}");
    assert!(others.iter().all(Result::is_ok), "{others:?}");
    store.close().await;
}

/// A server that is too slow for as much at once as there is gets less.
#[rstest]
#[tokio::test]
async fn a_transaction_that_takes_too_long_is_followed_by_smaller_ones(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = TestDatabase::empty(kind).await else {
        return;
    };
    let store = Store::open(StoreOptions::at(database.url().into())).await;
    let store = store.unwrap();
    let all_at_once = write_slowly(&store, kind, 100, 100).await;
    assert!(all_at_once.iter().all(Result::is_err));
    let again = write_slowly(&store, kind, 99, 100).await;
    assert!(again.iter().filter(|one| one.is_ok()).count() >= 50);
    store.close().await;
}

/// More at once than a server takes in the time of who waits: the rest is refused, and not written behind their backs.
#[rstest]
#[tokio::test]
async fn under_overload_what_is_refused_is_not_written(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = TestDatabase::empty(kind).await else {
        return;
    };
    let store = Store::open(StoreOptions::at(database.url().into())).await;
    let store = store.unwrap();
    let results = write_slowly(&store, kind, QUEUE, 12).await;
    let (written, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let unexpected = refused
        .iter()
        .find(|one| !matches!(one, Err(StoreError::Busy)));
    assert!(unexpected.is_none(), "{unexpected:?}");
    assert!(!written.is_empty());
    assert!(!refused.is_empty(), "there was time for all");
    let mut conn = AnyConnection::connect(database.url()).await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM settings")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(usize::try_from(rows).unwrap(), written.len());
    store.close().await;
}
