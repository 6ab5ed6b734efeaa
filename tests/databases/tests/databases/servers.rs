//! Servers that a test kills.

use herald_test_databases::TestServer;
use herald_test_servers::ServerKind;
use rstest::rstest;
use sqlx::{AnyConnection, Connection as _, any::install_default_drivers, raw_sql};

#[rstest]
#[tokio::test]
async fn what_was_committed_is_there_after_the_server_was_killed(
    #[values(ServerKind::Postgres, ServerKind::MariaDb)] kind: ServerKind,
) {
    install_default_drivers();
    let Some(mut server) = TestServer::start(kind).await else {
        return;
    };
    let database = server.empty().await;
    let mut connection = AnyConnection::connect(database.url()).await.unwrap();
    for statement in [
        "CREATE TABLE numbers (number BIGINT NOT NULL)",
        "INSERT INTO numbers VALUES (1)",
        "BEGIN",
        "INSERT INTO numbers VALUES (2)",
    ] {
        raw_sql(statement).execute(&mut connection).await.unwrap();
    }
    server.kill().await;
    raw_sql("COMMIT")
        .execute(&mut connection)
        .await
        .unwrap_err();
    AnyConnection::connect(database.url()).await.unwrap_err();
    server.restart().await;
    let mut connection = AnyConnection::connect(database.url()).await.unwrap();
    let numbers = sqlx::query_scalar("SELECT number FROM numbers");
    let numbers: Vec<i64> = numbers.fetch_all(&mut connection).await.unwrap();
    assert_eq!(numbers, [1]);
}
