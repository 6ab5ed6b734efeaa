//! What the database holds, read beside the store. The model holds the same.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, FromRow, Row as _};

/// The rows of all tables that the steps change, by their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    /// By id.
    pub(crate) messages: BTreeMap<String, Message>,
    /// When an attempt failed and why, by message and attempt.
    pub(crate) failed: BTreeMap<(String, i64), (i64, String)>,
    /// By user.
    pub(crate) inboxes: BTreeMap<String, Inbox>,
    /// The message of each notification and when it was made, by user and number.
    pub(crate) notifications: BTreeMap<(String, i64), (String, i64)>,
    /// Where each is and when it was last used, by user and client id.
    pub(crate) cursors: BTreeMap<(String, String), (i64, i64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) user_id: String,
    pub(crate) body: String,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) result: Option<String>,
    pub(crate) status: String,
    pub(crate) attempts: i64,
    pub(crate) failures: i64,
    pub(crate) created_at: i64,
    pub(crate) run_at: i64,
    pub(crate) lease_until: Option<i64>,
    pub(crate) processed_at: Option<i64>,
    pub(crate) delivered_at: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inbox {
    pub(crate) last_seq: i64,
    pub(crate) acked_seq: i64,
}

/// Not all columns: some have types that not every database has.
const MESSAGES: &str = "SELECT id, user_id, body, idempotency_key, result, status, attempts, failures, created_at, run_at, \
     lease_until, processed_at, delivered_at FROM messages";

impl Tables {
    /// How many bytes are kept of a user.
    pub(crate) fn stored_bytes(&self, user: &str) -> usize {
        let messages = self.messages.iter().filter(|(_, m)| m.user_id == user);
        let of_message = |(id, message): (&String, &Message)| {
            let texts = [&message.result, &message.idempotency_key];
            let texts = texts.into_iter().flatten().map(String::len).sum::<usize>();
            let attempts = (id.clone(), i64::MIN)..=(id.clone(), i64::MAX);
            let failed = self.failed.range(attempts);
            let errors = failed.map(|(_, (_, error))| 64 + error.len());
            512 + message.body.len() + texts + errors.sum::<usize>()
        };
        let inbox = (user.to_owned(), i64::MIN)..=(user.to_owned(), i64::MAX);
        messages.map(of_message).sum::<usize>() + 128 * self.notifications.range(inbox).count()
    }

    pub(crate) async fn read(conn: &mut AnyConnection) -> Self {
        Self {
            messages: rows(conn, MESSAGES, |row| (row.get("id"), message(row))).await,
            failed: pairs(
                conn,
                "SELECT message_id, attempt, failed_at, error FROM failed_attempts",
            )
            .await,
            inboxes: rows(
                conn,
                "SELECT user_id, last_seq, acked_seq FROM inboxes",
                |row| (row.get("user_id"), inbox(row)),
            )
            .await,
            notifications: pairs(
                conn,
                "SELECT user_id, seq, message_id, created_at FROM notifications",
            )
            .await,
            cursors: pairs(
                conn,
                "SELECT user_id, client_id, seq, updated_at FROM cursors",
            )
            .await,
        }
    }
}

fn message(row: &AnyRow) -> Message {
    Message {
        user_id: row.get("user_id"),
        body: row.get("body"),
        idempotency_key: row.get("idempotency_key"),
        result: row.get("result"),
        status: row.get("status"),
        attempts: row.get("attempts"),
        failures: row.get("failures"),
        created_at: row.get("created_at"),
        run_at: row.get("run_at"),
        lease_until: row.get("lease_until"),
        processed_at: row.get("processed_at"),
        delivered_at: row.get("delivered_at"),
    }
}

fn inbox(row: &AnyRow) -> Inbox {
    Inbox {
        last_seq: row.get("last_seq"),
        acked_seq: row.get("acked_seq"),
    }
}

/// How many messages of a user have not ended, when the user's turn is, and how much is kept, as the queue says.
pub(crate) type UserQueue = (i64, Option<i64>, i64);

/// All queues, by user.
pub(crate) async fn user_queues(conn: &mut AnyConnection) -> BTreeMap<String, UserQueue> {
    let all = "SELECT user_id, open, turn_at, stored_bytes FROM user_queues";
    rows(conn, all, |row| {
        (row.get(0), (row.get(1), row.get(2), row.get(3)))
    })
    .await
}

/// Rows of a key of two columns and two others.
async fn pairs<A, B, C, D>(conn: &mut AnyConnection, sql: &'static str) -> BTreeMap<(A, B), (C, D)>
where
    (A, B): Ord,
    (A, B, C, D): for<'r> FromRow<'r, AnyRow> + Send + Unpin,
{
    let rows: Vec<(A, B, C, D)> = sqlx::query_as(sql).fetch_all(conn).await.unwrap();
    rows.into_iter()
        .map(|(a, b, c, d)| ((a, b), (c, d)))
        .collect()
}

async fn rows<K: Ord, V>(
    conn: &mut AnyConnection,
    sql: &'static str,
    read: impl Fn(&AnyRow) -> (K, V),
) -> BTreeMap<K, V> {
    let rows = sqlx::query(sql).fetch_all(conn).await.unwrap();
    rows.iter().map(read).collect()
}
