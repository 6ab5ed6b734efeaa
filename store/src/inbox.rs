//! Inboxes: what each user was told, and how far it was acknowledged.

use futures_util::TryStreamExt as _;
use sqlx::AnyConnection;

use crate::writer::Operation;
use crate::{Notification, Seq, Store, StoreError, Timestamp, UserId};

/// A part of an inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notifications {
    /// In order.
    pub items: Vec<Notification>,
    /// There are others after these.
    pub more: bool,
}

/// Where an inbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The highest number that was acknowledged; [`Seq::NONE`] if there is none.
    pub acked: Seq,
    /// The number of the newest notification; [`Seq::NONE`] if there is none.
    pub last: Seq,
}

impl Store {
    /// The notifications of `user` after the number `after`, in order: up to `limit`, and no more once they hold
    /// `max_bytes`, but one at least.
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
    ) -> Result<Notifications, StoreError> {
        let mut rows = sqlx::query_as::<_, (i64, String)>(
            "SELECT seq, payload FROM notifications
             WHERE user_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .bind(user.as_str())
        .bind(after.0)
        .bind(i64::from(limit) + 1)
        .fetch(self.readers());
        let mut read = Notifications::default();
        let mut bytes = 0;
        while let Some((seq, payload)) = rows.try_next().await? {
            let full = !read.items.is_empty() && bytes >= max_bytes;
            if full || read.items.len() == limit as usize {
                read.more = true;
                break;
            }
            bytes += payload.len();
            read.items.push(Notification {
                seq: Seq(seq),
                payload: payload.into(),
            });
        }
        Ok(read)
    }

    /// How far the inbox of `user` goes, and how far it was acknowledged.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn position(&self, user: &UserId) -> Result<Position, StoreError> {
        let row: Option<(i64, i64)> =
            sqlx::query_as("SELECT acked_seq, last_seq FROM users WHERE id = $1")
                .bind(user.as_str())
                .fetch_optional(self.readers())
                .await?;
        let (acked, last) = row.unwrap_or_default();
        Ok(Position {
            acked: Seq(acked),
            last: Seq(last),
        })
    }

    /// Acknowledges all notifications of each user up to a number, and marks the messages of those
    /// that were not acknowledged before as delivered at `now`. A number that is not above what
    /// was acknowledged before does nothing; one above the newest counts as the newest.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn acknowledge(
        &self,
        up_to: &[(UserId, Seq)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if up_to.is_empty() {
            return Ok(());
        }
        self.write(Acknowledge {
            up_to: up_to.to_vec(),
            now,
        })
        .await
    }
}

struct Acknowledge {
    up_to: Vec<(UserId, Seq)>,
    now: Timestamp,
}

impl Operation for Acknowledge {
    type Answer = ();

    async fn run(&self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        for (user, seq) in &self.up_to {
            sqlx::query(
                "UPDATE messages SET delivered_at = $1
                 WHERE delivered_at IS NULL AND id IN (
                    SELECT message_id FROM notifications
                    WHERE user_id = $2 AND seq <= $3
                        AND seq > (SELECT acked_seq FROM users WHERE id = $2))",
            )
            .bind(self.now.as_millis())
            .bind(user.as_str())
            .bind(seq.0)
            .execute(&mut *conn)
            .await?;
            sqlx::query(
                "UPDATE users
                 SET acked_seq = CASE WHEN last_seq < $2 THEN last_seq ELSE $2 END
                 WHERE id = $1 AND acked_seq < $2",
            )
            .bind(user.as_str())
            .bind(seq.0)
            .execute(&mut *conn)
            .await?;
        }
        Ok(())
    }
}
