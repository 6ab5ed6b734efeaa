//! Whether somebody waits for what a test has locked.

use sqlx::{Connection as _, Executor as _, Row as _};

use crate::DATABASE;
use crate::common::Db;
use herald_test_databases::DatabaseKind;

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
