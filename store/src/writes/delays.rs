//! Delays that are set.

use super::reschedule::Reach;
use crate::reads::delays::NAME;
use crate::statement::Statement;
use crate::writer::{Locks, Operation, Transaction};
use crate::{Delay, Store, StoreError, UserId};

impl Store {
    /// Sets the delay of the messages that are accepted from now on, of users who have none of their own, and with
    /// `apply_to_queued` also of those messages of theirs that wait for their first attempt, counted from when each was
    /// accepted. Those that were accepted while the system's clock was ahead, tried or not, count from now. Returns how many
    /// were moved. Wakes the worker if any was.
    ///
    /// Queued messages are moved in many small steps, once the delay is set: if this is dropped or fails between two of
    /// them, some are moved and others are not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Delay`] if the delay cannot be used, another [`StoreError`] if it cannot be
    /// written.
    pub async fn set_delay(&self, delay: Delay, apply_to_queued: bool) -> Result<u64, StoreError> {
        delay.validate()?;
        self.write(SetDelay(delay)).await?;
        if !apply_to_queued {
            return Ok(0);
        }
        // The audit knows of the delay: what is moved by it is no other change.
        self.with_entry(None).reschedule(Reach::Others).await
    }

    /// The same for `user` alone; without a `delay`, the user's is that of all others again. Returns `None`, and does
    /// nothing, if there is no such account.
    ///
    /// # Errors
    ///
    /// As [`set_delay`](Self::set_delay).
    pub async fn set_user_delay(
        &self,
        user: &UserId,
        delay: Option<Delay>,
        apply_to_queued: bool,
    ) -> Result<Option<u64>, StoreError> {
        delay.map_or(Ok(()), Delay::validate)?;
        let set = SetUserDelay {
            user: user.clone(),
            delay,
        };
        if !self.write(set).await? {
            return Ok(None);
        }
        if !apply_to_queued {
            return Ok(Some(0));
        }
        let store = self.with_entry(None);
        store.reschedule(Reach::User(user.clone())).await.map(Some)
    }
}

struct SetDelay(Delay);

impl Operation for SetDelay {
    type Output = ();

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let again = tx.dialect().on_conflict(&["name"], &["value"]);
        let text = format!("INSERT INTO settings (name, value) VALUES ($1, $2) {again}");
        let set = Statement::made(text).bind(NAME);
        tx.execute(set.bind(self.0.setting())).await?;
        Ok(())
    }
}

struct SetUserDelay {
    user: UserId,
    delay: Option<Delay>,
}

impl Operation for SetUserDelay {
    /// Whether there is such an account.
    type Output = bool;

    /// What is accepted meanwhile has the old delay before it is changed, or the new one.
    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let set = Statement::new("UPDATE users SET delay = $1 WHERE id = $2")
            .bind(self.delay.map(Delay::setting))
            .bind(self.user.as_str());
        Ok(tx.execute(set).await? > 0)
    }

    fn changes(set: &bool) -> bool {
        *set
    }
}
