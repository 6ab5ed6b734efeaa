//! A source that is written to while it is copied is not copied in part.

use herald_store::{RetainedChange, RetainedMessage, Store, StoreError, TransferError};
use herald_test_databases::{DatabaseKind, TestDatabase};
use rstest::rstest;
use sqlx::Executor as _;

use crate::common::{Halted, connect, copy, empty, execute, file, file_with, open};
use crate::contents::ALL_KINDS;
use crate::interrupted::{DELETE_ONE, copies};

/// All kinds of rows, in a database of this kind.
async fn filled(kind: DatabaseKind) -> Option<TestDatabase> {
    let filled = empty(kind).await?;
    copy(&file_with(ALL_KINDS).await, &filled).await.unwrap();
    Some(filled)
}

/// Fails as the source has changed, and leaves what no store opens.
async fn refuses(halted: Halted<'_>, to: &TestDatabase, change: &str) {
    let error = halted.finish().await.unwrap_err();
    let is_changed = matches!(error, TransferError::Changed { .. });
    assert!(is_changed, "{change}: {error:?}");
    let error = open(to).await.unwrap_err();
    assert!(matches!(error, StoreError::Unfinished { .. }), "{error:?}");
}

#[rstest]
#[tokio::test]
async fn what_changes_meanwhile_is_not_copied_in_part(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
) {
    let Some(from) = filled(kind).await else {
        return;
    };
    let to = file().await;
    for change in [
        DELETE_ONE,
        "INSERT INTO audit (id, at, action, count) VALUES ('v', 1, 'x', 1)",
        "UPDATE inbox_epoch SET epoch = 'another'",
        // No other number of rows.
        "UPDATE inboxes SET acked_seq = 4 WHERE user_id = 'b'",
        "UPDATE cursors SET seq = 8 WHERE user_id = 'b' AND client_id = 'phone'",
        "UPDATE messages SET status = 'processing', attempts = 1, lease = 'x', lease_until = 9 WHERE id = 'm1'",
        "UPDATE messages SET status = 'cancelled', processed_at = 9 WHERE id = 'm1'",
    ] {
        let halted = Halted::at(&from, &to, copies("users")).await;
        execute(&from, change).await;
        refuses(halted, &to, change).await;
    }
    copy(&from, &to).await.unwrap();
}

/// One retained message instead of another: no number of rows tells.
async fn replace(store: &Store) {
    let message = RetainedMessage {
        topic: "broadcast/a".into(),
        payload: "new".into(),
        attributes: "{}".into(),
        expires_at: None,
    };
    let changes = vec![RetainedChange::Set(message)];
    store.save_retained(changes).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn whatever_a_server_writes_meanwhile_is_noticed(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
) {
    let Some(from) = filled(kind).await else {
        return;
    };
    let to = file().await;
    // Also one that wrote before, and one that goes on where it was.
    for write in 0..3 {
        let halted = Halted::at(&from, &to, copies("users")).await;
        let store = open(&from).await.unwrap();
        match write {
            0 => replace(&store).await,
            _ => store.ping().await.unwrap(),
        }
        store.close().await;
        refuses(halted, &to, "a write of a server").await;
    }
    copy(&from, &to).await.unwrap();
}

#[tokio::test]
async fn a_server_that_begins_meanwhile_and_stays_is_noticed() {
    let Some(from) = filled(DatabaseKind::Postgres).await else {
        return;
    };
    let to = file().await;
    let halted = Halted::at(&from, &to, copies("users")).await;
    let store = open(&from).await.unwrap();
    let error = halted.finish().await.unwrap_err();
    assert!(matches!(error, TransferError::InUse { .. }), "{error:?}");
    store.close().await;
}

/// As of who backs it up, or watches it.
#[rstest]
#[tokio::test]
async fn who_only_reads_it_meanwhile_does_no_harm(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
) {
    let Some(from) = filled(kind).await else {
        return;
    };
    let to = file().await;
    let halted = Halted::at(&from, &to, copies("users")).await;
    let mut reads = connect(&from).await;
    reads
        .execute("SELECT COUNT(*) FROM messages")
        .await
        .unwrap();
    halted.finish().await.unwrap();
    reads
        .execute("SELECT COUNT(*) FROM messages")
        .await
        .unwrap();
}
