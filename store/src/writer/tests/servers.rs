//! What a server says against a write.

use std::sync::atomic::{AtomicUsize, Ordering};

use herald_test_databases::{DatabaseKind, TestDatabase};
use rstest::rstest;
use sqlx::Executor as _;

use super::*;
use crate::writer::batch::Batch;

/// Returns how often it was run and the number of the connection, once it was in the way of another writer.
struct Conflicting {
    kind: DatabaseKind,
    runs: AtomicUsize,
}

impl Operation for Conflicting {
    type Output = (usize, i64);

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(usize, i64), StoreError> {
        let conn = tx.connection();
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

/// Of what is in doubt nothing is known when its time is over; the rest was certainly not written.
#[tokio::test]
async fn what_has_no_time_left_is_told_what_is_known() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    for (state, expected) in [
        (waiting::State::Open, "Busy"),
        (waiting::State::Committing, "Unreachable"),
    ] {
        let mut results = vec![];
        let queued = [now + second, now + 3 * second].map(|deadline| {
            let (caller, result) = oneshot::channel();
            results.push(result);
            let (key, then) = (String::new(), Then::Succeed);
            let mut waiting = Waiting::new(Insert { key, then }, Some(deadline), caller);
            waiting.state = state;
            Box::new(waiting) as Box<dyn Queued>
        });
        let mut batch = Batch::of(queued.into_iter());
        batch.fail_late(now + patience::LEAST, &StoreError::Busy);
        batch.send_settled(&Notify::new());
        assert_eq!(batch.len(), 1);
        let told = results.swap_remove(0).await.unwrap().unwrap_err();
        assert!(format!("{told:?}").starts_with(expected), "{told:?}");
    }
}
