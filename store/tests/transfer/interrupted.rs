//! A copy that does not come to its end, and what comes of what it left.

use herald_store::{StoreError, TransferError, TransferProgress, TransferStep};
use herald_test_databases::DatabaseKind;
use rstest::rstest;

use crate::common::{Halted, copy, dump, empty, execute, file, file_with, open};
use crate::contents::ALL_KINDS;

pub(crate) const DELETE_ONE: &str = "DELETE FROM messages WHERE id = '9'";

pub(crate) fn copies(table: &'static str) -> impl Fn(TransferProgress) -> bool + 'static {
    move |one| one.step == TransferStep::Copying && one.table == table && one.rows > 0
}

fn compares(table: &'static str) -> impl Fn(TransferProgress) -> bool + 'static {
    move |one| one.step == TransferStep::Comparing && one.table == table
}

#[rstest]
#[tokio::test]
async fn no_store_opens_what_an_interrupted_copy_left_and_the_next_one_begins_anew(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
) {
    let Some(to) = empty(kind).await else {
        return;
    };
    let from = file_with(ALL_KINDS).await;
    for table in ["users", "messages", "audit"] {
        drop(Halted::at(&from, &to, copies(table)).await);
        let error = open(&to).await.unwrap_err();
        let StoreError::Unfinished {
            source_database, ..
        } = &error
        else {
            panic!("{error:?}");
        };
        assert!(from.url().ends_with(source_database), "{error}");
        assert!(error.to_string().contains("run herald migrate again"));
        // Nor is it copied on.
        let on = copy(&to, &file().await).await.unwrap_err();
        let is_unfinished = matches!(&on, TransferError::Store(StoreError::Unfinished { .. }));
        assert!(is_unfinished, "{on:?}");
    }
    // Whatever was done to the source in between.
    execute(&from, DELETE_ONE).await;
    let copied = copy(&from, &to).await.unwrap();
    assert_eq!(copied.rows_of("messages"), 5);
    open(&to).await.unwrap().close().await;
    let back = file().await;
    copy(&to, &back).await.unwrap();
    assert_eq!(dump(&from).await, dump(&back).await);
}

/// What is done to a copy, and what is found then.
const TAMPERED: [(&str, &str); 6] = [
    (
        "UPDATE messages SET body = 'Hello' WHERE id = 'm1'",
        "the row m1 of messages",
    ),
    (
        "DELETE FROM notifications WHERE user_id = 'b' AND seq = 9",
        "the row b of notifications",
    ),
    (
        "INSERT INTO cursors (user_id, client_id, seq, updated_at) VALUES ('ä', 'x', 1, 1)",
        "the row ä of cursors",
    ),
    (
        "UPDATE inboxes SET acked_seq = 2 WHERE user_id = 'b'",
        "the row b of inboxes",
    ),
    (
        "UPDATE inbox_epoch SET epoch = 'another'",
        "how far the inboxes have come",
    ),
    (
        "UPDATE message_counts SET count = count + 1 WHERE status = 'dead'",
        "the number of messages of each status",
    ),
];

#[rstest]
#[tokio::test]
async fn a_copy_that_is_not_the_same_is_found(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
) {
    let Some(to) = empty(kind).await else {
        return;
    };
    let from = file_with(ALL_KINDS).await;
    for (change, what) in TAMPERED {
        let halted = Halted::at(&from, &to, compares("users")).await;
        execute(&to, change).await;
        let error = halted.finish().await.unwrap_err();
        let TransferError::Differs { what: found } = &error else {
            panic!("{change}: {error:?}");
        };
        assert_eq!(found, what);
        let error = open(&to).await.unwrap_err();
        assert!(matches!(error, StoreError::Unfinished { .. }), "{error:?}");
    }
    copy(&from, &to).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn two_do_not_copy_to_one_database_at_once(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(to) = empty(kind).await else {
        return;
    };
    let from = file_with(ALL_KINDS).await;
    let first = Halted::at(&from, &to, copies("users")).await;
    let second = copy(&from, &to).await.unwrap_err();
    // MariaDB does not say whose the connection is.
    let is_refused = matches!(
        second,
        TransferError::BeingCopied { .. } | TransferError::InUse { .. }
    );
    assert!(is_refused, "{second:?}");
    first.finish().await.unwrap();
    let third = copy(&from, &to).await.unwrap_err();
    assert!(matches!(third, TransferError::NotEmpty { .. }), "{third:?}");
}
