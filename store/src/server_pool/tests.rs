//! Reads that nobody waits for any more.

use std::collections::BTreeSet;

use herald_test_databases::DatabaseKind;
use rstest::rstest;

use crate::StoreError;
use crate::fetch::One;
use crate::location::Location;
use crate::server::tests::database;
use crate::statement::Statement;

use super::*;

/// How many connections there are.
const COUNT: u32 = 2;

/// Lasts as long as a read may.
fn slow(kind: DatabaseKind) -> &'static str {
    match kind {
        DatabaseKind::Postgres => "SELECT CAST(pg_sleep(600) AS TEXT) AS slept",
        _ => "SELECT SLEEP(600) AS slept",
    }
}

/// Which other connections the server has to this database.
async fn connections(conn: &mut AnyConnection, kind: DatabaseKind) -> BTreeSet<i64> {
    let text = match kind {
        DatabaseKind::Postgres => {
            "SELECT CAST(pid AS BIGINT) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()"
        }
        _ => {
            "SELECT CAST(id AS SIGNED) FROM information_schema.processlist
             WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        }
    };
    let found = sqlx::query_scalar(text).fetch_all(conn).await;
    found.unwrap().into_iter().collect()
}

/// Goes away from reads that last, one after the other, and looks how many connections the server has.
async fn give_up_many(
    kind: DatabaseKind,
    watcher: &mut AnyConnection,
    read: impl AsyncFn() -> Result<(), StoreError>,
) {
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        let given_up = timeout(Duration::from_millis(20), read()).await;
        assert!(given_up.is_err(), "{given_up:?}");
        let connections = connections(watcher, kind).await;
        assert!(connections.len() <= COUNT as usize, "{connections:?}");
        seen.extend(connections);
    }
    assert_eq!(seen.len(), COUNT as usize, "they are used again: {seen:?}");
}

#[rstest]
#[tokio::test]
async fn lists_that_are_given_up_take_no_more_of_a_server_than_others(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let mut watcher = location.connect_writer().await.unwrap();
    let lists = location.connect_lists(COUNT).await.unwrap();
    give_up_many(kind, &mut watcher, async || {
        lists.first(slow(kind).into(), &[], |_| Ok(())).await?;
        Ok(())
    })
    .await;
    // Once the server has stopped one.
    let one = lists.first("SELECT 1 AS one".into(), &[], |_| Ok(())).await;
    assert_eq!(one.unwrap(), Some(()));
    lists.close().await;
}

#[rstest]
#[tokio::test]
async fn other_reads_that_are_given_up_take_no_more_of_a_server(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let mut watcher = location.connect_writer().await.unwrap();
    let readers = location.connect_readers(COUNT).await.unwrap();
    give_up_many(kind, &mut watcher, async || {
        readers.fetch_one(Statement::new(slow(kind))).await?;
        Ok(())
    })
    .await;
    // Once the server has stopped what was given up.
    let again = async {
        loop {
            match readers.fetch_one(Statement::new("SELECT 1")).await {
                Err(error) if error.is_transient() => {}
                one => break one,
            }
        }
    };
    timeout(Duration::from_secs(60), again)
        .await
        .unwrap()
        .unwrap();
    readers.close().await;
}

/// One that grew old is replaced, and the server does not keep it.
#[rstest]
#[tokio::test]
async fn a_connection_has_a_lifetime(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let Location::Server(server) = &location else {
        unreachable!("it is a server");
    };
    let mut watcher = location.connect_writer().await.unwrap();
    let settings = location.dialect().reader();
    let pool = ServerPool::connect(server.clone(), COUNT, settings, WAIT);
    let pool = pool.await.unwrap();
    let first = connections(&mut watcher, kind).await;
    for pooled in pool.0.idle().iter_mut() {
        pooled.made -= LIFETIME;
    }
    pool.read(Statement::new("SELECT 1"), One).await.unwrap();
    let replaced = async {
        loop {
            let connections = connections(&mut watcher, kind).await;
            if connections.is_disjoint(&first) {
                return connections.len();
            }
        }
    };
    assert_eq!(timeout(WAIT, replaced).await.unwrap(), 1);
    pool.close().await;
}

#[rstest]
#[tokio::test]
async fn a_read_under_way_ends_with_the_pool(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let readers = location.connect_readers(1).await.unwrap();
    let mut read = Box::pin(readers.fetch_one(Statement::new(slow(kind))));
    assert!(futures_util::poll!(&mut read).is_pending());
    readers.close().await;
    let ended = read.await.map(drop);
    assert!(matches!(ended, Err(StoreError::Closed)), "{ended:?}");
    let later = readers.fetch_one(Statement::new("SELECT 1")).await;
    let later = later.map(drop);
    assert!(matches!(later, Err(StoreError::Closed)), "{later:?}");
}
