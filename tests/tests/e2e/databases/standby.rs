//! A server that weakens the promise, and one that only follows another.

use herald_test_databases::TestServer;
use herald_test_servers::ServerKind;

use super::{connect, execute, herald, refused};

#[tokio::test]
async fn a_server_that_forgets_is_warned_of_and_a_standby_is_refused() {
    let Some(mut server) = TestServer::start(ServerKind::Postgres).await else {
        return;
    };
    let mut owner = connect(&server.url()).await;
    execute(&mut owner, "ALTER SYSTEM SET fsync = off").await;
    drop(owner);
    server.restart().await;
    let checked = herald(&["check-config"], &server.url()).await;
    assert_eq!(checked.code, 0, "{checked:?}");
    let warning = "# warning: fsync is off on the database server";
    assert!(checked.stdout.contains(warning), "{checked:?}");

    server.restart_as_standby().await;
    refused(&server.url(), "name the primary in database.url").await;
}

#[tokio::test]
async fn mariadb_that_forgets_is_warned_of_and_one_that_only_reads_is_refused() {
    let Some(server) = TestServer::start(ServerKind::MariaDb).await else {
        return;
    };
    let mut owner = connect(&server.url()).await;
    let weak = "SET GLOBAL innodb_flush_log_at_trx_commit = 2";
    execute(&mut owner, weak).await;
    let checked = herald(&["check-config"], &server.url()).await;
    assert_eq!(checked.code, 0, "{checked:?}");
    let warning = "# warning: innodb_flush_log_at_trx_commit is 2";
    assert!(checked.stdout.contains(warning), "{checked:?}");

    execute(&mut owner, "SET GLOBAL read_only = 1").await;
    refused(&server.url(), "name the primary in database.url").await;
}
