//! Inboxes: what each user was told.

use crate::{Notification, Seq, Store, StoreError, UserId};
use futures_util::TryStreamExt as _;

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
    /// Everything up to this number was acknowledged; [`Seq::NONE`] if nothing was.
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

    /// How far the inbox of `user` goes, and the highest number that was acknowledged, by whichever of the user's sessions
    /// or over HTTP.
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
}
