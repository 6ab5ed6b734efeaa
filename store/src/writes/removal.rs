//! What users do away with: messages that wait are cancelled, and those that have ended are deleted.

use super::retries::{owner, take_out};
use super::stored_bytes;
use crate::writer::{Operation, Transaction};
use crate::{MessageId, Status, Store, StoreError, Timestamp, UserId};

/// What came of [`Store::remove_message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It was queued, and is cancelled.
    Cancelled,
    /// It had ended, and is gone, with its idempotency key and the attempts at it that failed. Its notifications keep their
    /// numbers.
    Deleted,
    /// Nothing was done: a worker has it, or it has this status, and another one was asked for.
    Not(Status),
    /// The user has no such message.
    Unknown,
}

impl Store {
    /// Cancels a message of `user` that is queued, or deletes one that has ended; with `only`, if it has that status at the
    /// moment of the change. So a caller that means to cancel deletes nothing that has ended meanwhile.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn remove_message(
        &self,
        user: &UserId,
        id: &MessageId,
        only: Option<Status>,
        now: Timestamp,
    ) -> Result<Removed, StoreError> {
        let (user, id) = (user.clone(), id.clone());
        let remove = Remove {
            user,
            id,
            only,
            now,
        };
        self.write(remove).await
    }
}

struct Remove {
    user: UserId,
    id: MessageId,
    only: Option<Status>,
    now: Timestamp,
}

impl Operation for Remove {
    type Output = Removed;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Removed, StoreError> {
        let conn = tx.connection();
        let status = match owner(conn, &self.id).await? {
            Some((owner, status)) if owner == self.user => status,
            _ => return Ok(Removed::Unknown),
        };
        if self.only.is_some_and(|only| only != status) {
            return Ok(Removed::Not(status));
        }
        match status {
            Status::Queued => {
                take_out(conn, &self.user, &self.id, self.now).await?;
                Ok(Removed::Cancelled)
            }
            Status::Processing => Ok(Removed::Not(status)),
            Status::Processed | Status::Dead | Status::Cancelled => {
                stored_bytes::delete_messages(conn, &[self.id.as_str()], None).await?;
                Ok(Removed::Deleted)
            }
        }
    }
}
