//! Databases on servers that were taken for empty ones: what is in them has to stay.

use std::time::Duration;

use futures_util::future::{Either, select};
use herald_store::{Delay, StoreError, TransferError};
use herald_test_databases::{DatabaseKind, TestDatabase};
use rstest::rstest;
use sqlx::{AnyConnection, AssertSqlSafe, Executor as _, Row as _, raw_sql};
use tokio::time::{sleep, timeout};

use crate::common::{connect, copy, dump, empty, execute, file, file_with, migrated, open, texts};
use crate::contents::ALL_KINDS;

/// How long what has to come may take.
const LIMIT: Duration = Duration::from_secs(30);
/// MariaDB shows what was so when it was last asked, until nobody has for a tenth of a second.
const LOOK_AGAIN: Duration = Duration::from_millis(150);

/// What makes tables come into this schema from the next connection on. Beside one that is taken for another name of it, there
/// is one that has that name.
const SCHEMA: &str = r#"CREATE SCHEMA IF NOT EXISTS herald; CREATE SCHEMA "{name}";
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = %I', current_database(), '{name}'); END $$"#;

#[rstest]
#[tokio::test]
async fn a_schema_of_any_name_is_known_by_it(#[values("Herald", "2024", "my-app")] name: &str) {
    let (Some(to), Some(other)) = (
        empty(DatabaseKind::Postgres).await,
        empty(DatabaseKind::Postgres).await,
    ) else {
        return;
    };
    for database in [&to, &other] {
        execute(database, SCHEMA.replace("{name}", name)).await;
    }
    let from = file_with(ALL_KINDS).await;
    copy(&from, &to).await.unwrap();
    // It is full now, and stays so.
    let error = copy(&from, &to).await.unwrap_err();
    assert!(matches!(error, TransferError::NotEmpty { .. }), "{error:?}");
    let tables = "SELECT CAST(table_schema AS TEXT) FROM information_schema.tables WHERE table_name = 'messages'";
    assert_eq!(texts(&to, tables.into()).await, [name]);
    // It is a source as any other.
    let back = file().await;
    copy(&to, &other).await.unwrap();
    copy(&other, &back).await.unwrap();
    assert_eq!(dump(&from).await, dump(&back).await);
}

/// Keeps everybody else from setting the mark, and knows whether somebody waits for that.
struct HeldMark {
    holds: AnyConnection,
    looks: AnyConnection,
    waiting: String,
}

impl HeldMark {
    async fn of(database: &TestDatabase) -> Self {
        let (_, name) = database.url().rsplit_once('/').unwrap();
        let name = name.split('?').next().unwrap();
        let (leave, waiting) = match database.kind() {
            DatabaseKind::Postgres => (
                "SELECT 1",
                format!(
                    "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock'"
                ),
            ),
            // Whoever is connected to the database would be taken for a server.
            _ => (
                "USE information_schema",
                format!(
                    "SELECT COUNT(*) FROM innodb_trx t JOIN processlist p ON p.id = t.trx_mysql_thread_id
                     WHERE t.trx_state = 'LOCK WAIT' AND p.db = '{name}'"
                ),
            ),
        };
        let settings = match database.kind() {
            DatabaseKind::Postgres => "settings".into(),
            _ => format!("{name}.settings"),
        };
        let mark = format!("INSERT INTO {settings} (name, value) VALUES ('transfer', '')");
        let mut held = Self {
            holds: connect(database).await,
            looks: connect(database).await,
            waiting,
        };
        run(&mut held.looks, leave).await;
        for text in [leave, "BEGIN", &mark] {
            run(&mut held.holds, text).await;
        }
        held
    }

    async fn is_waited_for(&mut self) {
        let mut waiting = 0_i64;
        while waiting == 0 {
            sleep(LOOK_AGAIN).await;
            let row = self
                .looks
                .fetch_one(raw_sql(AssertSqlSafe(self.waiting.clone())));
            waiting = row.await.unwrap().get(0);
        }
    }

    async fn release(mut self) {
        run(&mut self.holds, "ROLLBACK").await;
    }
}

async fn run(conn: &mut AnyConnection, text: &str) {
    let text = raw_sql(AssertSqlSafe(text.to_owned()));
    conn.execute(text).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_server_that_starts_just_before_the_mark_loses_nothing(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(to) = migrated(kind).await else {
        return;
    };
    let from = file_with(ALL_KINDS).await;
    let mut held = HeldMark::of(&to).await;
    let copying = Box::pin(copy(&from, &to));
    let waited_for = Box::pin(timeout(LIMIT, held.is_waited_for()));
    let copying = match select(copying, waited_for).await {
        Either::Left((ended, _)) => panic!("it ended before: {ended:?}"),
        Either::Right((waited_for, copying)) => {
            waited_for.unwrap();
            copying
        }
    };
    let store = open(&to).await.unwrap();
    let delay = Delay::Fixed { ms: 17 };
    store.set_delay(delay, false).await.unwrap();
    held.release().await;
    let error = copying.await.unwrap_err();
    assert!(matches!(error, TransferError::InUse { .. }), "{error:?}");
    // As one that was never copied to: what the server wrote, and the rules that it began with.
    let rules = store.list_rules(None, 100).await.unwrap().items.len();
    assert!(rules > 1);
    store.close().await;
    let store = open(&to).await.unwrap();
    assert_eq!(store.delay().await.unwrap(), delay);
    store.close().await;
    // Nor does the next copy take it for what this one left.
    let error = copy(&from, &to).await.unwrap_err();
    assert!(matches!(error, TransferError::NotEmpty { .. }), "{error:?}");
}

/// What a copy or a start leaves that is killed while it makes the tables: each is made by itself.
#[rstest]
#[tokio::test]
async fn a_copy_that_was_killed_while_tables_were_made_is_run_again(
    #[values(&[], &["users"], &["users", "inboxes", "settings", "messages"])] made: &[&str],
) {
    let Some(to) = migrated(DatabaseKind::MariaDb).await else {
        return;
    };
    let tables = "SELECT CAST(table_name AS CHAR) FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND table_name <> '_sqlx_migrations'";
    let tables = texts(&to, tables.into()).await;
    let gone = tables
        .iter()
        .filter(|table| !made.contains(&table.as_str()));
    let gone = gone.cloned().collect::<Vec<_>>().join(", ");
    let undone = match made.is_empty() {
        true => "DELETE FROM _sqlx_migrations",
        false => "UPDATE _sqlx_migrations SET success = FALSE",
    };
    let text =
        format!("SET foreign_key_checks = 0; DROP VIEW inbox_epoch; DROP TABLE {gone}; {undone}");
    execute(&to, text).await;
    let from = file_with(ALL_KINDS).await;
    copy(&from, &to).await.unwrap();
    let back = file().await;
    copy(&to, &back).await.unwrap();
    assert_eq!(dump(&from).await, dump(&back).await);
}

/// Not if a server has used them since.
#[tokio::test]
async fn tables_that_were_not_all_made_are_none_to_throw_away() {
    let Some(to) = migrated(DatabaseKind::MariaDb).await else {
        return;
    };
    execute(
        &to,
        "INSERT INTO users (id, username, role, password_hash, created_at) VALUES ('1', 'a', 'user', 'x', 1);
         UPDATE _sqlx_migrations SET success = FALSE",
    )
    .await;
    let error = copy(&file_with(ALL_KINDS).await, &to).await.unwrap_err();
    assert!(matches!(error, TransferError::NotEmpty { .. }), "{error:?}");
    let unfinished = open(&to).await.map(drop);
    assert!(!matches!(unfinished, Err(StoreError::Unfinished { .. })));
}
