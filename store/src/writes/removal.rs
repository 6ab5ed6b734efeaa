//! What users do away with: messages that wait are cancelled, and those that have ended are deleted.

use super::retries::{status, take_out};
use super::stored_bytes::{self, Which};
use crate::writer::{Locks, Operation, Transaction};
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

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Removed, StoreError> {
        let Self { user, id, .. } = self;
        if matches!(self.only, None | Some(Status::Queued))
            && take_out(tx, user, id, self.now).await?
        {
            return Ok(Removed::Cancelled);
        }
        let which = Which::Ended {
            user,
            only: self.only,
        };
        if stored_bytes::delete_messages(tx, &[id.as_str()], which).await? > 0 {
            return Ok(Removed::Deleted);
        }
        let status = status(tx, user, id).await?;
        Ok(status.map_or(Removed::Unknown, Removed::Not))
    }
}
