//! Databases of tests.

use std::fs;

use herald_test_databases::DatabaseKind::{self, MariaDb, MySql, Postgres, Sqlite};
use herald_test_databases::TestDatabase;
use rstest::rstest;
use sqlx::{AnyConnection, Connection as _, any::install_default_drivers, raw_sql};

/// Tables that refer to one another, with rows.
const TABLES: [&str; 3] = [
    "CREATE TABLE owners (id BIGINT PRIMARY KEY, name VARCHAR(20) NOT NULL)",
    "CREATE TABLE belongings (id BIGINT PRIMARY KEY, owner BIGINT NOT NULL, FOREIGN KEY (owner) REFERENCES owners (id))",
    "INSERT INTO owners VALUES (1, 'alice')",
];

async fn connect(url: &str) -> AnyConnection {
    install_default_drivers();
    // Herald makes the file by itself.
    if let Some(file) = url.strip_prefix("sqlite://") {
        fs::File::options()
            .create(true)
            .append(true)
            .open(file)
            .unwrap();
    }
    AnyConnection::connect(url).await.unwrap()
}

async fn run(connection: &mut AnyConnection, statement: &'static str) -> Result<(), sqlx::Error> {
    raw_sql(statement).execute(connection).await.map(|_| ())
}

async fn migrate(url: &str) {
    let mut connection = connect(url).await;
    for statement in TABLES {
        run(&mut connection, statement).await.unwrap();
    }
    connection.close().await.unwrap();
}

async fn owners(connection: &mut AnyConnection) -> Vec<i64> {
    let owners = sqlx::query_scalar("SELECT id FROM owners ORDER BY id");
    owners.fetch_all(connection).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn each_test_has_a_database_of_its_own_as_it_was_migrated(
    #[values(Sqlite, Postgres, MariaDb, MySql)] kind: DatabaseKind,
) {
    let mut databases = Vec::new();
    for _ in 0..2 {
        match TestDatabase::make(kind, 1, migrate).await {
            Some(database) => databases.push(database),
            None => return,
        }
    }
    let mut first = connect(databases[0].url()).await;
    let mut second = connect(databases[1].url()).await;
    run(&mut first, "INSERT INTO owners VALUES (2, 'bob')")
        .await
        .unwrap();
    assert_eq!(owners(&mut first).await, [1, 2]);
    assert_eq!(owners(&mut second).await, [1]);
    let foreign = run(&mut second, "INSERT INTO belongings VALUES (1, 2)").await;
    foreign.unwrap_err();
    run(&mut second, "INSERT INTO owners VALUES (3, 'carol')")
        .await
        .unwrap();
    assert_eq!(owners(&mut second).await, [1, 3]);
}

#[rstest]
#[tokio::test]
async fn a_database_goes_with_its_test_also_if_that_panics_and_is_connected(
    #[values(Postgres, MariaDb, MySql)] kind: DatabaseKind,
) {
    let Some(database) = TestDatabase::make(kind, 1, migrate).await else {
        return;
    };
    let url = database.url().to_owned();
    let mut connection = connect(&url).await;
    run(&mut connection, "BEGIN").await.unwrap();
    run(&mut connection, "INSERT INTO owners VALUES (2, 'bob')")
        .await
        .unwrap();
    let panicked = tokio::spawn(async move {
        let _database = database;
        panic!("as a test does");
    });
    assert!(panicked.await.unwrap_err().is_panic());
    AnyConnection::connect(&url).await.unwrap_err();
    run(&mut connection, "COMMIT").await.unwrap_err();
}
