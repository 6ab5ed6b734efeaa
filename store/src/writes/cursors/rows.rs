//! Inboxes and cursors, as they are read and written.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::bulk::{self, RowsInsert, TextBytes};
use crate::dialect::Dialect;
use crate::statement::{Part, Results, Script, Statement};
use crate::{Position, Seq, StoreError, Timestamp, UserId};

const PUT: RowsInsert = RowsInsert {
    table: "cursors",
    columns: &["user_id", "client_id", "seq", "updated_at"],
    given: "seq",
    fixed: None,
};

/// A user and a client id.
pub(crate) type CursorKey = (UserId, Arc<str>);

/// Where a client id stopped in the inbox of its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) user: UserId,
    pub(crate) client_id: Arc<str>,
    pub(crate) seq: Seq,
    pub(crate) used: Timestamp,
}

impl Cursor {
    pub(crate) fn key(&self) -> CursorKey {
        (self.user.clone(), self.client_id.clone())
    }
}

impl TextBytes for Cursor {
    fn text_bytes(&self) -> usize {
        self.client_id.len()
    }
}

/// Where in the results of a script the inboxes are.
pub(crate) struct InboxRows(Part);

impl InboxRows {
    /// Adds what reads the inboxes of `users`.
    pub(crate) fn add(script: &mut Script, users: &[&UserId]) -> Self {
        Self(script.add_all(bulk::of_each(
            "SELECT user_id, acked_seq, last_seq FROM inboxes WHERE user_id",
            users,
        )))
    }

    pub(crate) fn read(&self, results: &Results) -> Result<HashMap<UserId, Position>, StoreError> {
        let read = |row: &AnyRow| {
            let user: String = row.try_get("user_id")?;
            let position = Position {
                acked: Seq(row.try_get("acked_seq")?),
                last: Seq(row.try_get("last_seq")?),
            };
            Ok((UserId::from_string(user), position))
        };
        results.rows(&self.0).map(read).collect()
    }
}

/// What reads all cursors of `users`.
pub(crate) fn cursors_of(users: &[&UserId]) -> Vec<Statement> {
    bulk::of_each(
        "SELECT user_id, client_id, seq, updated_at FROM cursors WHERE user_id",
        users,
    )
}

/// What reads these cursors.
pub(crate) fn cursors(keys: &[(&UserId, &str)], dialect: Dialect) -> Vec<Statement> {
    let read = |rows| {
        Statement::made(format!(
            "SELECT user_id, client_id, seq, updated_at FROM cursors
             WHERE (user_id, client_id) IN ({})",
            bulk::keys(dialect, rows, 2, 1)
        ))
    };
    bulk::for_each(keys, read, |statement, key| {
        let (user, client_id) = (key.map(|(user, _)| user.as_str()), key.map(|(_, id)| *id));
        statement.bind(user).bind(client_id)
    })
}

pub(crate) fn read_cursor(row: &AnyRow) -> Result<Cursor, StoreError> {
    Ok(Cursor {
        user: UserId::from_string(row.try_get::<String, _>("user_id")?),
        client_id: row.try_get::<String, _>("client_id")?.into(),
        seq: Seq(row.try_get("seq")?),
        used: Timestamp::from_millis(row.try_get("updated_at")?),
    })
}

/// What puts cursors where they are to be, whether they are there or not.
pub(crate) fn put(cursors: &[&Cursor], dialect: Dialect) -> Vec<Statement> {
    let again = dialect.on_conflict(&["user_id", "client_id"], &["seq", "updated_at"]);
    PUT.statements(dialect, cursors, &again, |statement, cursor| {
        statement
            .bind(cursor.map(|cursor| cursor.user.as_str()))
            .bind(cursor.map(|cursor| &*cursor.client_id))
            .bind(cursor.map(|cursor| cursor.seq.0))
            .bind(cursor.map(|cursor| cursor.used.as_millis()))
    })
}

/// What forgets cursors.
pub(crate) fn forget(keys: &[CursorKey], dialect: Dialect) -> Vec<Statement> {
    let forget = |rows| {
        Statement::made(format!(
            "{} WHERE (user_id, client_id) IN ({})",
            dialect.delete_by_key("cursors"),
            bulk::keys(dialect, rows, 2, 1)
        ))
    };
    bulk::for_each(keys, forget, |statement, key| {
        let (user, id) = (key.map(|(user, _)| user.as_str()), key.map(|(_, id)| &**id));
        statement.bind(user).bind(id)
    })
}
