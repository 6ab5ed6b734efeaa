//! How much room each user takes in the database.
//!
//! What is counted is exact, and the same in every database: the bytes of the texts that are kept, and for each row a fixed
//! number that stands for its other columns and its places in indexes. The count is in the user's queue, which is written
//! whenever a message is accepted or ends. Whatever inserts or deletes what is counted changes it in the same transaction.

use sqlx::{AnyConnection, Row as _};

use super::user_queues::UserQueueChanges;
use crate::{StoreError, Timestamp, UserId, bulk};

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

/// Deletes messages, with the attempts at them that failed, and gives their room back. With `ended_before`, only those that
/// have ended before it. Returns how many there were.
pub(crate) async fn delete_messages(
    conn: &mut AnyConnection,
    ids: &[impl AsRef<str>],
    ended_before: Option<Timestamp>,
) -> Result<u64, StoreError> {
    let condition = match ended_before {
        Some(_) => "processed_at < $1",
        None => "$1 IS NULL",
    };
    let before = ended_before.map(Timestamp::as_millis);
    let mut deleted = 0;
    let mut queues = UserQueueChanges::default();
    for chunk in bulk::chunks(ids) {
        let chosen = format!("{condition} AND id IN ({})", bulk::list(chunk.len(), 2));
        let room = format!(
            "SELECT user_id, SUM({}) AS bytes FROM messages m WHERE {chosen} GROUP BY user_id",
            of_stored_message()
        );
        let mut query = sqlx::query(bulk::statement(room)).bind(before);
        for id in chunk {
            query = query.bind(id.as_ref());
        }
        for row in query.fetch_all(&mut *conn).await? {
            let user: String = row.try_get("user_id")?;
            let bytes: i64 = row.try_get("bytes")?;
            queues.stored(&UserId::from_string(user), -bytes);
        }
        let delete = format!("DELETE FROM messages WHERE {chosen}");
        let mut query = sqlx::query(bulk::statement(delete)).bind(before);
        for id in chunk {
            query = query.bind(id.as_ref());
        }
        deleted += query.execute(&mut *conn).await?.rows_affected();
    }
    queues.write(conn).await?;
    Ok(deleted)
}

/// Deletes notifications, by user and number, and gives their room back. Returns how many there were.
pub(crate) async fn delete_notifications(
    conn: &mut AnyConnection,
    keys: &[(impl AsRef<str>, i64)],
) -> Result<u64, StoreError> {
    let mut deleted = 0;
    let mut queues = UserQueueChanges::default();
    for chunk in bulk::chunks(keys) {
        let chosen = format!(
            "notifications WHERE (user_id, seq) IN (VALUES {})",
            bulk::rows(chunk.len(), 2, 1)
        );
        let count = format!("SELECT user_id, COUNT(*) AS count FROM {chosen} GROUP BY user_id");
        let mut query = sqlx::query(bulk::statement(count));
        for (user, seq) in chunk {
            query = query.bind(user.as_ref()).bind(*seq);
        }
        for row in query.fetch_all(&mut *conn).await? {
            let user: String = row.try_get("user_id")?;
            let count: i64 = row.try_get("count")?;
            queues.stored(&UserId::from_string(user), -count * NOTIFICATION);
        }
        let mut query = sqlx::query(bulk::statement(format!("DELETE FROM {chosen}")));
        for (user, seq) in chunk {
            query = query.bind(user.as_ref()).bind(*seq);
        }
        deleted += query.execute(&mut *conn).await?.rows_affected();
    }
    queues.write(conn).await?;
    Ok(deleted)
}
