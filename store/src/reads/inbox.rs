//! Inboxes: the notifications of each user.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::dialect::Param;
use crate::notification::{NotificationContent, Text};
use crate::page::JsonBytes;
use crate::statement::Statement;
use crate::{Epoch, Notification, Page, Seq, Status, Store, StoreError, Timestamp, UserId};

/// Notifications, with what is there of the messages. A message that died may have been processed since: so its result is not
/// asked for then.
macro_rules! select {
    ($columns:literal) => {
        concat!(
            "SELECT ",
            $columns,
            "n.seq, n.message_id, n.status, n.attempts, n.created_at,
                m.body, m.created_at AS sent_at, f.error,
                CASE WHEN n.status = 'processed' THEN m.result END AS result
            FROM notifications n
            LEFT JOIN messages m ON m.id = n.message_id
            LEFT JOIN failed_attempts f
                ON n.status = 'dead' AND f.message_id = n.message_id AND f.attempt = n.attempts "
        )
    };
}

/// Those of the user `$1` after the number `$2`.
const INBOX: &str = concat!(
    select!(""),
    "WHERE n.user_id = $1 AND n.seq > $2 ORDER BY n.seq LIMIT $3"
);

/// Those of any users, with whose each is: a condition is to follow.
pub(super) const INBOXES: &str = select!("n.user_id, ");

/// Where an inbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Everything up to this number was acknowledged; [`Seq::NONE`] if nothing was.
    pub acked: Seq,
    /// The number of the newest notification; [`Seq::NONE`] if there is none.
    pub last: Seq,
}

impl Store {
    /// The notifications of `user` after the number `after`, in order: up to `limit`, and no more than `max_bytes` hold,
    /// but one at least. For sessions of MQTT: no list can hold this up, and it waits for a server that is not there for a while.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn notifications(
        &self,
        user: &UserId,
        after: Seq,
        limit: u32,
        max_bytes: usize,
    ) -> Result<Page<Notification>, StoreError> {
        let inbox = || {
            Statement::new(INBOX)
                .bind(user.as_str())
                .bind(after.0)
                .bind(i64::from(limit) + 1)
        };
        let (epoch, most) = (self.epoch(), self.notification_bytes());
        let read = move |row: &AnyRow| notification(row, &epoch, most);
        let readers = self.readers();
        readers.page_patiently(inbox, limit, max_bytes, read).await
    }

    /// A page of up to `limit` notifications of `user` after the number `after`, in order.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn list_notifications(
        &self,
        user: &UserId,
        after: Seq,
        limit: u32,
    ) -> Result<Page<Notification>, StoreError> {
        let params = [
            Param::Text(user.as_str()),
            Param::Int(after.0),
            Param::Int(i64::from(limit) + 1),
        ];
        let (epoch, most) = (self.epoch(), self.notification_bytes());
        let lists = self.lists();
        lists
            .page(INBOX.to_owned(), &params, limit, move |row| {
                notification(row, &epoch, most)
            })
            .await
    }

    /// How far the inbox of `user` goes, and the highest number that was acknowledged, by whichever of the user's sessions
    /// or over HTTP.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn position(&self, user: &UserId) -> Result<Position, StoreError> {
        let inbox = Statement::new("SELECT acked_seq, last_seq FROM inboxes WHERE user_id = $1");
        let inbox = inbox.bind(user.as_str());
        let Some(row) = self.readers().fetch_optional(inbox).await? else {
            return Ok(Position {
                acked: Seq::NONE,
                last: Seq::NONE,
            });
        };
        Ok(Position {
            acked: Seq(row.try_get("acked_seq")?),
            last: Seq(row.try_get("last_seq")?),
        })
    }
}

impl JsonBytes for Notification {
    fn json_bytes(&self) -> usize {
        self.payload.len()
    }
}

/// Makes a notification of up to `max_bytes` from its row and what is stored of the message.
pub(super) fn notification(
    row: &AnyRow,
    epoch: &Epoch,
    max_bytes: usize,
) -> Result<Notification, StoreError> {
    let status = Status::from_column(row.try_get("status")?)?;
    let body: Option<String> = row.try_get("body")?;
    let result: Option<String> = row.try_get("result")?;
    let error: Option<String> = row.try_get("error")?;
    let sent_at: Option<i64> = row.try_get("sent_at")?;
    let text = body.as_deref().zip(sent_at).map(|(body, sent_at)| Text {
        body,
        // One that is the same as the body is not stored.
        result: result
            .as_deref()
            .or_else(|| (status == Status::Processed).then_some(body)),
        error: error.as_deref(),
        created_at: Timestamp::from_millis(sent_at),
    });
    let content = NotificationContent {
        seq: Seq(row.try_get("seq")?),
        epoch,
        message_id: row.try_get("message_id")?,
        status,
        attempts: row.try_get("attempts")?,
        processed_at: Timestamp::from_millis(row.try_get("created_at")?),
        text,
    };
    Ok(content.notification(max_bytes))
}
