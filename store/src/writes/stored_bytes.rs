//! How much room each user takes in the database.
//!
//! What is counted is exact, and the same in every database: the bytes of the texts that are kept, and for each row a fixed
//! number that stands for its other columns and its places in indexes. The count is in the user's queue, which is written
//! whenever a message is accepted or ends. Whatever inserts or deletes what is counted changes it in the same transaction.

use sqlx::Row as _;

use super::user_queues::UserQueueChanges;
use crate::dialect::Dialect;
use crate::statement::{Script, Statement};
use crate::writer::Transaction;
use crate::{Status, StoreError, Timestamp, UserId, bulk};

/// A message without its texts. Its row and its places in indexes take about as much.
const MESSAGE: i64 = 512;

/// An attempt that failed, without its error.
const FAILED_ATTEMPT: i64 = 64;

/// A notification, all of it: it has no text of its own. It stays when its message is deleted.
pub(crate) const NOTIFICATION: i64 = 128;

/// What a message adds when it is accepted.
pub(crate) fn of_message(body: &str, idempotency_key: Option<&str>) -> i64 {
    MESSAGE + bytes(body) + idempotency_key.map_or(0, bytes)
}

/// What a message adds when it ends, with its notification.
pub(crate) fn of_end(result: Option<&str>, error: Option<&str>) -> i64 {
    NOTIFICATION + result.map_or(0, bytes) + error.map_or(0, of_failure)
}

/// What an attempt that failed adds.
pub(crate) fn of_failure(error: &str) -> i64 {
    FAILED_ATTEMPT + bytes(error)
}

fn bytes(text: &str) -> i64 {
    text.len() as i64
}

/// All that a message `m` has added by now, but for notifications. As an expression: no text is read for its length.
fn of_stored_message() -> String {
    format!(
        "{MESSAGE} + octet_length(m.body) + COALESCE(octet_length(m.result), 0)
            + COALESCE(octet_length(m.idempotency_key), 0)
            + COALESCE((SELECT SUM({FAILED_ATTEMPT} + octet_length(f.error)) FROM failed_attempts f
                WHERE f.message_id = m.id), 0)"
    )
}

/// Which of some messages are to be deleted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    /// All.
    All,
    /// Those that have ended before then.
    EndedBefore(Timestamp),
    /// Those of a user that have ended, and with this status if there is one.
    Ended {
        user: &'a UserId,
        only: Option<Status>,
    },
}

impl Which<'_> {
    /// The condition, of which `ids` are a part that has its parameters from a number on.
    fn condition(self, ids: impl FnOnce(usize) -> String) -> String {
        let condition = match self {
            Self::All => return ids(1),
            Self::EndedBefore(_) => "processed_at < $1".to_owned(),
            Self::Ended { only: None, .. } => "user_id = $1 AND processed_at IS NOT NULL".into(),
            Self::Ended {
                only: Some(only), ..
            } => format!(
                "user_id = $1 AND processed_at IS NOT NULL AND status = '{}'",
                only.as_str()
            ),
        };
        format!("{condition} AND {}", ids(2))
    }

    fn bind(self, statement: Statement) -> Statement {
        match self {
            Self::All => statement,
            Self::EndedBefore(before) => statement.bind(before.as_millis()),
            Self::Ended { user, .. } => statement.bind(user.as_str()),
        }
    }
}

/// Deletes which of these messages are meant, with the attempts at them that failed, and gives their room back. Returns how
/// many there were. The caller has locked the queues of their owners.
pub(crate) async fn delete_messages(
    tx: &mut Transaction<'_>,
    ids: &[impl AsRef<str>],
    which: Which<'_>,
) -> Result<u64, StoreError> {
    let mut script = Script::default();
    let dialect = tx.dialect();
    // Elsewhere a trigger counts them by their status.
    let (status, groups) = match dialect {
        Dialect::Sqlite | Dialect::Postgres => ("", ""),
        Dialect::MySql => ("status, ", ", status"),
    };
    // In the order in which those who acknowledge them lock them, too.
    let mut ids: Vec<_> = ids.iter().map(AsRef::as_ref).collect();
    ids.sort_unstable();
    let room = |rows| {
        which.bind(Statement::made(format!(
            "SELECT user_id, {status}COUNT(*) AS count, CAST(SUM({}) AS {}) AS bytes FROM messages m WHERE {} GROUP BY user_id{groups}",
            of_stored_message(),
            dialect.integer(),
            which.condition(|first| format!("id IN ({})", bulk::list(rows, first)))
        )))
    };
    let delete = |rows| {
        let delete = dialect.delete_by_key("messages");
        which.bind(Statement::made(format!(
            "{delete} WHERE {}",
            which.condition(|first| bulk::ids_in_order(dialect, rows, first))
        )))
    };
    let bind = |statement: Statement, id: Option<&&str>| statement.bind(id.copied());
    let rooms = script.add_all(bulk::for_each(&ids, room, bind));
    let deleted = script.add_all(bulk::for_each(&ids, delete, bind));
    let results = tx.run(script).await?;
    let mut queues = UserQueueChanges::default();
    let mut counted = 0;
    for row in results.rows(&rooms) {
        let user: String = row.try_get("user_id")?;
        let (bytes, count): (i64, i64) = (row.try_get("bytes")?, row.try_get("count")?);
        queues.stored(&UserId::from_string(user), -bytes);
        counted += count;
        if dialect == Dialect::MySql {
            let status = Status::from_column(row.try_get("status")?)?;
            queues.moved(Some(status), None, count);
        }
    }
    results.changed_all(&deleted, counted as usize)?;
    queues.write(tx).await?;
    Ok(results.changed(&deleted))
}

/// Deletes notifications, by user and number, and gives their room back. Returns how many there were. The caller has locked
/// the queues of the users.
pub(crate) async fn delete_notifications(
    tx: &mut Transaction<'_>,
    keys: &[(impl AsRef<str>, i64)],
) -> Result<u64, StoreError> {
    let mut script = Script::default();
    let dialect = tx.dialect();
    let count = |rows| {
        let keys = bulk::keys(dialect, rows, 2, 1);
        Statement::made(format!(
            "SELECT user_id, COUNT(*) AS count FROM notifications WHERE (user_id, seq) IN ({keys}) GROUP BY user_id"
        ))
    };
    let delete = |rows| {
        let keys = bulk::keys(dialect, rows, 2, 1);
        let delete = dialect.delete_by_key("notifications");
        Statement::made(format!("{delete} WHERE (user_id, seq) IN ({keys})"))
    };
    let bind = |statement: Statement, key: Option<&(_, i64)>| {
        let user = key.map(|(user, _)| AsRef::<str>::as_ref(user));
        statement.bind(user).bind(key.map(|(_, seq)| *seq))
    };
    let counts = script.add_all(bulk::for_each(keys, count, bind));
    let deleted = script.add_all(bulk::for_each(keys, delete, bind));
    let results = tx.run(script).await?;
    let mut queues = UserQueueChanges::default();
    let mut counted = 0;
    for row in results.rows(&counts) {
        let user: String = row.try_get("user_id")?;
        let count: i64 = row.try_get("count")?;
        queues.stored(&UserId::from_string(user), -count * NOTIFICATION);
        counted += count;
    }
    results.changed_all(&deleted, counted as usize)?;
    queues.write(tx).await?;
    Ok(results.changed(&deleted))
}
