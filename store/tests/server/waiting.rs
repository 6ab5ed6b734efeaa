//! Writes that wait for what a test has locked.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use herald_test_databases::DatabaseKind;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};
use tokio::time::timeout;

use crate::DATABASE;
use crate::common::Db;

/// How long any of it may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Does something while another writer has run `first`. Once that one is waited for because of `table`, it runs `then`, and
/// commits.
pub(crate) async fn met<T>(
    db: &Db,
    first: &str,
    table: &str,
    then: &str,
    what: impl Future<Output = T>,
) -> T {
    let mut other = db.connect().await;
    let run = |sql: &str| AssertSqlSafe(sql.to_owned());
    other.execute("BEGIN").await.unwrap();
    other.execute(run(first)).await.unwrap();
    let done = async {
        let mut what = pin!(what.fuse());
        let is_waited_for = async { while !is_waited_for(db, table).await {} };
        tokio::select! {
            biased;
            _ = &mut what => panic!("it did not wait"),
            () = is_waited_for => {}
        }
        other.execute(run(then)).await.unwrap();
        other.execute("COMMIT").await.unwrap();
        what.await
    };
    let done = timeout(LIMIT, done).await.unwrap();
    other.close().await.unwrap();
    done
}

/// Whether a statement waits for a lock of this table or of its rows. Which rows are waited for is in InnoDB's tables, too, but
/// those are not made anew for whoever asks ten times a second.
pub(crate) async fn is_waited_for(db: &Db, table: &str) -> bool {
    let mut conn = db.connect().await;
    let waits = match DATABASE {
        DatabaseKind::Postgres => {
            let waiting = "SELECT query FROM pg_stat_activity WHERE datname = current_database()
                 AND wait_event_type = 'Lock'";
            let waiting = conn.fetch_all(waiting).await.unwrap();
            let mut queries = waiting.iter().map(|row| row.get::<String, _>("query"));
            queries.any(|query| query.split_whitespace().any(|word| word == table))
        }
        _ => {
            let renaming = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE()
                 AND info LIKE 'RENAME %' AND state LIKE 'Waiting for table metadata lock%'";
            let renaming = conn.fetch_one(renaming).await.unwrap();
            let name = conn.fetch_one("SELECT DATABASE()").await.unwrap();
            let status = conn.fetch_one("SHOW ENGINE INNODB STATUS").await.unwrap();
            let (name, status): (String, String) = (name.get(0), status.get("Status"));
            let rows = format!("`{name}`.`{table}`");
            let mut locks = status.lines().filter(|line| line.contains(&rows));
            renaming.get::<i64, _>(0) > 0 || locks.any(|line| line.trim_end().ends_with("waiting"))
        }
    };
    conn.close().await.unwrap();
    waits
}
