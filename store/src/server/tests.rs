//! Databases on a server: made, opened by several at once, and their connections.

use futures_util::future::try_join_all;
use herald_test_databases::{DatabaseKind, TestDatabase};
use rstest::rstest;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _, Row as _};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::*;
use crate::location::Location;
use crate::open::prepare;

mod mysql;
mod postgres;

/// A new database, and where it is; `None` if it is not tested.
pub(crate) async fn database(kind: DatabaseKind) -> Option<(TestDatabase, Location)> {
    let database = TestDatabase::empty(kind).await?;
    let location = Location::parse(database.url().into()).unwrap();
    Some((database, location))
}

async fn text(conn: &mut AnyConnection, text: &'static str) -> String {
    sqlx::query_scalar(text).fetch_one(conn).await.unwrap()
}

async fn number(conn: &mut AnyConnection, text: &'static str) -> i64 {
    sqlx::query_scalar(text).fetch_one(conn).await.unwrap()
}

/// How many tables there are.
async fn tables(conn: &mut AnyConnection, kind: DatabaseKind) -> i64 {
    let schema = match kind {
        DatabaseKind::Postgres => "current_schema()",
        _ => "DATABASE()",
    };
    let text =
        format!("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = {schema}");
    let found = sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(conn);
    found.await.unwrap()
}

/// Which connection of the server it is.
async fn id(conn: &mut AnyConnection, kind: DatabaseKind) -> i64 {
    let text = match kind {
        DatabaseKind::Postgres => "SELECT CAST(pg_backend_pid() AS BIGINT)",
        _ => "SELECT CAST(CONNECTION_ID() AS SIGNED)",
    };
    number(conn, text).await
}

#[rstest]
#[tokio::test]
async fn servers_that_start_at_once_make_the_tables_once(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb, DatabaseKind::MySql)]
    kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let opened = try_join_all((0..8).map(|_| prepare(&location))).await;
    let (mut conn, _) = opened.unwrap().pop().unwrap();
    let rules = number(&mut conn, "SELECT COUNT(*) FROM acl_rules").await;
    assert_eq!(rules, 8);
}

#[rstest]
#[tokio::test]
async fn a_newer_database_is_left_alone(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb, DatabaseKind::MySql)]
    kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let (mut conn, _) = prepare(&location).await.unwrap();
    let later =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'later', true, '', 0)";
    conn.execute(later).await.unwrap();
    let refused = async || {
        let error = prepare(&location).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Newer { version: 9999, .. }),
            "{error:?}"
        );
    };
    refused().await;
    // What only adds is passed over once it is done.
    let set = "UPDATE _sqlx_migrations SET description = 'add_later'";
    conn.execute(set).await.unwrap();
    prepare(&location).await.unwrap();
    let set = "UPDATE _sqlx_migrations SET success = false WHERE version = 9999";
    conn.execute(set).await.unwrap();
    refused().await;
}

/// Nothing else is made, and nobody is held up.
#[rstest]
#[tokio::test]
async fn a_table_of_somebody_else_is_left_alone(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb, DatabaseKind::MySql)]
    kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let mut conn = location.connect_writer().await.unwrap();
    let other = "CREATE TABLE cursors (other BIGINT)";
    conn.execute(other).await.unwrap();
    for _ in 0..2 {
        let error = prepare(&location).await.unwrap_err();
        assert!(matches!(error, StoreError::Migrate(_)), "{error:?}");
        assert!(error.to_string().contains("cursors"), "{error}");
    }
    assert_eq!(tables(&mut conn, kind).await, 1);
    conn.execute("DROP TABLE cursors").await.unwrap();
    prepare(&location).await.unwrap();
}

/// What ends a list, as a server has it.
struct ListLimit {
    shown: &'static str,
    is: &'static str,
    set_short: &'static str,
    slow: &'static str,
}

/// MySQL ends SLEEP without an error.
#[rstest]
#[case::postgres(DatabaseKind::Postgres, ListLimit {
    shown: "SELECT current_setting('statement_timeout')",
    is: "2s",
    set_short: "SET statement_timeout = 500",
    slow: "SELECT CAST(pg_sleep(600) AS TEXT)",
})]
#[case::mariadb(DatabaseKind::MariaDb, ListLimit {
    shown: "SELECT CAST(@@max_statement_time AS CHAR)",
    is: "2.000000",
    set_short: "SET max_statement_time = 0.5",
    slow: "SELECT SLEEP(600)",
})]
#[tokio::test]
async fn a_list_ends_and_its_connection_goes_on(
    #[case] kind: DatabaseKind,
    #[case] limit: ListLimit,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    // The only connection.
    let lists = location.connect_lists(1).await.unwrap();
    let read = |row: &sqlx::any::AnyRow| Ok(row.try_get::<String, _>(0)?);
    let shown = lists.first(limit.shown.into(), &[], read).await.unwrap();
    assert_eq!(shown.unwrap(), limit.is);
    let set = lists.first(limit.set_short.into(), &[], |_| Ok(()));
    set.await.unwrap();
    let stopped = lists.first(limit.slow.into(), &[], |_| Ok(())).await;
    assert!(matches!(stopped, Err(StoreError::TooSlow)), "{stopped:?}");
    let one = lists.first("SELECT 1 AS one".into(), &[], |_| Ok(())).await;
    assert_eq!(one.unwrap(), Some(()));
    lists.close().await;
}

#[rstest]
#[tokio::test]
async fn a_connection_that_the_server_ended_is_a_passing_fault(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb, DatabaseKind::MySql)]
    kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let mut conn = location.connect_writer().await.unwrap();
    let mut other = location.connect_writer().await.unwrap();
    let id = id(&mut conn, kind).await;
    let kill = match kind {
        DatabaseKind::Postgres => format!("SELECT CAST(pg_terminate_backend({id}) AS TEXT)"),
        _ => format!("KILL {id}"),
    };
    other.execute(AssertSqlSafe(kill)).await.unwrap();
    let error: StoreError = conn.execute("SELECT 1").await.unwrap_err().into();
    assert!(error.is_transient(), "{error:?}");
}

/// As one that is killed does to who waits to be accepted.
#[rstest]
#[case("postgres", true)]
#[case("mysql", false)]
#[tokio::test]
async fn a_server_that_ends_a_connection_without_a_word_is_a_passing_fault(
    #[case] scheme: &str,
    #[case] client_begins: bool,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let closing = tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            if client_begins {
                // So that the end is no reset.
                connection.read_u64().await.unwrap();
            }
        }
    });
    sqlx::any::install_default_drivers();
    let connected = AnyConnection::connect(&format!("{scheme}://herald@{address}/herald")).await;
    let error: StoreError = connected.unwrap_err().into();
    assert!(error.is_transient(), "{error:?}");
    closing.abort();
}
