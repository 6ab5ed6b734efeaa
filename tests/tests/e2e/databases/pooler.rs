//! pgbouncer before PostgreSQL.

use herald_test_databases::{DatabaseKind, TestDatabase};
use herald_tests::PgBouncer;
use rstest::rstest;

use super::{COMMANDS, each_refused, herald, refused};

#[rstest]
#[case::transaction("transaction")]
#[case::statement("statement")]
#[tokio::test]
async fn a_pooler_that_mixes_connections_is_told(#[case] pool_mode: &str) {
    let Some(database) = TestDatabase::empty(DatabaseKind::Postgres).await else {
        return;
    };
    let bouncer = PgBouncer::start(database.url(), pool_mode).await;
    refused(bouncer.url(), "name the server itself in database.url").await;
    let from = [
        "migrate",
        "--from",
        bouncer.url(),
        "--to",
        "sqlite://copy.db",
    ];
    let advice = "name the server itself in --from or --to";
    each_refused(&[&from], bouncer.url(), advice).await;
}

#[tokio::test]
async fn a_pooler_that_leaves_connections_alone_can_be_used() {
    let Some(database) = TestDatabase::empty(DatabaseKind::Postgres).await else {
        return;
    };
    let bouncer = PgBouncer::start(database.url(), "session").await;
    for command in [COMMANDS[0], COMMANDS[2]] {
        let ended = herald(command, bouncer.url()).await;
        assert_eq!(ended.code, 0, "{command:?}: {ended:?}");
    }
}
