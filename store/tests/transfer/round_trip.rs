//! What comes back is what was copied.

use herald_store::{
    Delay, Refusal, StoreError, TransferError, TransferProgress, TransferStep, transfer_database,
};
use herald_test_databases::{DatabaseKind, ServerKind, TestServer};
use rstest::rstest;

use crate::common::{copy, dump, empty, file, file_with, migrated, open};
use crate::contents::{ALL_KINDS, TABLES};

#[rstest]
#[tokio::test]
async fn all_kinds_of_rows_are_the_same_when_they_come_back(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
) {
    let Some(between) = empty(kind).await else {
        return;
    };
    let (before, after) = (file_with(ALL_KINDS).await, file().await);
    let there = copy(&before, &between).await.unwrap();
    let back = copy(&between, &after).await.unwrap();
    assert_eq!(there, back);
    assert_eq!(there.tables.len(), TABLES);
    assert!(there.tables.iter().all(|(_, rows)| *rows > 0), "{there:?}");
    assert_eq!(
        (there.rows_of("messages"), there.rows_of("cursors")),
        (6, 7)
    );
    let (before, after) = (dump(&before).await, dump(&after).await);
    assert!(before.len() as u64 > there.rows(), "{before:#?}");
    assert_eq!(before, after);
}

#[rstest]
#[tokio::test]
async fn all_kinds_of_rows_go_from_server_to_server(
    #[values(
        (DatabaseKind::Postgres, DatabaseKind::MariaDb),
        (DatabaseKind::MariaDb, DatabaseKind::Postgres),
        (DatabaseKind::Postgres, DatabaseKind::Postgres),
        (DatabaseKind::MariaDb, DatabaseKind::MariaDb)
    )]
    (one, other): (DatabaseKind, DatabaseKind),
) {
    let (Some(one), Some(other)) = (empty(one).await, empty(other).await) else {
        return;
    };
    let (before, after) = (file_with(ALL_KINDS).await, file().await);
    copy(&before, &one).await.unwrap();
    copy(&one, &other).await.unwrap();
    copy(&other, &after).await.unwrap();
    assert_eq!(dump(&before).await, dump(&after).await);
}

/// Not even what is in its log goes into the file.
#[tokio::test]
async fn a_file_that_is_copied_is_only_read() {
    let before = file_with(ALL_KINDS).await;
    let path = before.url().strip_prefix("sqlite://").unwrap().to_owned();
    // A server that was killed leaves a log.
    let store = open(&before).await.unwrap();
    let delay = Delay::Fixed { ms: 17 };
    store.set_delay(delay, false).await.unwrap();
    for file in [&path, &format!("{path}-wal")] {
        std::fs::copy(file, format!("{file}.killed")).unwrap();
    }
    store.close().await;
    std::fs::rename(format!("{path}.killed"), &path).unwrap();
    std::fs::rename(format!("{path}-wal.killed"), format!("{path}-wal")).unwrap();
    let read = |ending: &str| std::fs::read(format!("{path}{ending}")).unwrap();
    let as_it_was = (read(""), read("-wal"));
    let after = file().await;
    copy(&before, &after).await.unwrap();
    assert!(as_it_was == (read(""), read("-wal")));
    let store = open(&after).await.unwrap();
    assert_eq!(store.delay().await.unwrap(), delay);
}

/// An empty database, as one that was just made, can be copied, too; and to one that has tables already.
#[rstest]
#[tokio::test]
async fn rules_that_a_new_database_has_are_replaced(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
) {
    let Some(to) = migrated(kind).await else {
        return;
    };
    let from = file_with("DELETE FROM acl_rules WHERE id <> 'builtin-send'").await;
    let copied = copy(&from, &to).await.unwrap();
    assert_eq!(copied.rows_of("acl_rules"), 1);
    let store = open(&to).await.unwrap();
    let rules = store.list_rules(None, 10).await.unwrap();
    assert_eq!(rules.items.len(), 1);
}

#[tokio::test]
async fn each_table_says_how_far_it_has_come() {
    let (from, to) = (file_with(ALL_KINDS).await, file().await);
    let mut seen = vec![];
    let copied = transfer_database(from.url().into(), to.url().into(), async |one| {
        seen.push(one)
    });
    let copied = copied.await.unwrap();
    for step in [TransferStep::Copying, TransferStep::Comparing] {
        for (table, all) in &copied.tables {
            let of = |one: &&TransferProgress| one.step == step && one.table == *table;
            let last = seen.iter().rfind(of).unwrap();
            assert_eq!((last.rows, last.all), (*all, *all), "{last:?}");
        }
    }
}

/// As many rows as are read at once, of which the last is nearly as long as a statement of MariaDB may be.
const LONG: &str = "
INSERT INTO users (id, username, role, password_hash, created_at) VALUES ('u', 'alice', 'user', 'x', 1);
INSERT INTO inboxes (user_id) VALUES ('u');
INSERT INTO user_queues (user_id, open) VALUES ('u', 0);
WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 62)
INSERT INTO messages (id, user_id, body, status, created_at, run_at, processed_at)
SELECT printf('%02d', n), 'u', hex(zeroblob(30000)), 'processed', 1, 1, 1 FROM n;
INSERT INTO messages (id, user_id, body, status, result, created_at, run_at, processed_at)
VALUES ('99', 'u', hex(zeroblob(3500000)), 'processed', hex(zeroblob(3600000)), 1, 1, 1);
";

#[rstest]
#[tokio::test]
async fn long_texts_are_copied(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
) {
    let Some(between) = empty(kind).await else {
        return;
    };
    let (before, after) = (file_with(LONG).await, file().await);
    copy(&before, &between).await.unwrap();
    copy(&between, &after).await.unwrap();
    assert!(dump(&before).await == dump(&after).await);
}

/// What reads of it does not need its primary.
#[tokio::test]
async fn a_standby_can_be_copied() {
    let Some(mut server) = TestServer::start(ServerKind::Postgres).await else {
        return;
    };
    let standby = server.empty().await;
    let (before, after) = (file_with(ALL_KINDS).await, file().await);
    copy(&before, &standby).await.unwrap();
    server.restart_as_standby().await;
    copy(&standby, &after).await.unwrap();
    assert_eq!(dump(&before).await, dump(&after).await);
    let error = copy(&before, &standby).await.unwrap_err();
    let is_refused = matches!(
        &error,
        TransferError::Store(StoreError::Refused {
            refusal: Refusal::Standby,
            ..
        })
    );
    assert!(is_refused, "{error:?}");
}
