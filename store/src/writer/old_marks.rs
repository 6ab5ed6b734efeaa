//! Forgets the marks of connections that are long gone.

use std::time::{Duration, Instant};

use sqlx::{AnyConnection, Connection as _, Row as _};
use tokio::time::timeout;

use crate::dialect::{Dialect, PRIMARY, begin_write};
use crate::statement::Statement;
use crate::{StoreError, bulk, server};

/// How long a mark is kept after its last use, in milliseconds. Nobody asks for it later than callers wait.
const KEPT: i64 = 3600 * 1000;

/// How often old ones are looked for, how many are forgotten then at most, and how long that may hold up writes.
const LOOK: Duration = Duration::from_secs(3600);
const MOST: usize = 256;
const LIMIT: Duration = Duration::from_secs(1);

/// When it is looked again if there may be more.
const SOON: Duration = Duration::from_secs(60);

/// When old marks are forgotten.
pub(super) struct OldMarks {
    dialect: Dialect,
    look_at: Instant,
}

impl OldMarks {
    pub(super) fn new(dialect: Dialect) -> Self {
        let look_at = Instant::now();
        Self { dialect, look_at }
    }

    /// Forgets old marks if it is time. If that fails, the connection may be in any state.
    pub(super) async fn forget(&mut self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        // A file has none.
        if self.dialect == Dialect::Sqlite || Instant::now() < self.look_at {
            return Ok(());
        }
        self.look_at = Instant::now() + LOOK;
        let forgotten = timeout(LIMIT, forget(conn, self.dialect)).await;
        if forgotten.unwrap_or_else(|_| Err(server::silence()))? == MOST {
            self.look_at = Instant::now() + SOON;
        }
        Ok(())
    }
}

/// Each connection that writes has its mark locked most of the time, and MySQL locks all rows that a statement passes: so marks
/// are looked for without a lock and deleted by their keys, without those that are locked. Returns how many were found.
async fn forget(conn: &mut AnyConnection, dialect: Dialect) -> Result<usize, StoreError> {
    let is_old = format!("at < {} - {KEPT}", dialect.now());
    let text = format!("SELECT writer FROM last_commits WHERE {is_old} LIMIT {MOST}");
    let old = writers(conn, dialect, Statement::new(bulk::statement(text))).await?;
    let lock = |rows| {
        Statement::made(format!(
            "SELECT writer FROM last_commits{} WHERE writer IN ({}) AND {is_old} FOR UPDATE SKIP LOCKED",
            dialect.by_index(PRIMARY),
            bulk::list(rows, 1)
        ))
    };
    let locks = bulk::for_each(&old, lock, |statement, writer| {
        statement.bind(writer.map(String::as_str))
    });
    for lock in locks {
        let mut tx = conn.begin_with(begin_write(dialect, false)).await?;
        let locked = writers(&mut tx, dialect, lock).await?;
        let delete = format!("{} WHERE writer", dialect.delete_by_key("last_commits"));
        for delete in bulk::of_each(&delete, &locked) {
            delete.query(dialect)?.execute(&mut *tx).await?;
        }
        tx.commit().await?;
    }
    Ok(old.len())
}

async fn writers(
    conn: &mut AnyConnection,
    dialect: Dialect,
    select: Statement,
) -> Result<Vec<String>, StoreError> {
    let rows = select.query(dialect)?.fetch_all(conn).await?;
    let writers = rows.iter().map(|row| row.try_get("writer"));
    Ok(writers.collect::<Result<_, _>>()?)
}
