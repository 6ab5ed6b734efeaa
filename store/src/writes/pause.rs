//! Claims that are stopped, and go on.

use crate::statement::Statement;
use crate::writer::{Channel, Operation, Transaction};
use crate::{Store, StoreError};

impl Store {
    /// Stops claims, on all servers of this database, until [`resume`](Self::resume); what is claimed goes on.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn pause(&self) -> Result<(), StoreError> {
        self.write(SetPaused(true)).await?;
        if !self.is_exclusive() {
            // What is claimed as it is accepted takes the other connection.
            self.write(InLine).await?;
        }
        Ok(())
    }

    /// Lets claims go on. Wakes the worker.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn resume(&self) -> Result<(), StoreError> {
        self.write(SetPaused(false)).await
    }
}

struct SetPaused(bool);

/// Writes nothing, behind all that was to be accepted before.
struct InLine;

impl Operation for InLine {
    type Output = ();

    async fn run(&self, _tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Operation for SetPaused {
    type Output = ();

    /// With claims: once it is answered, none is under way here that has not seen it.
    const CHANNEL: Channel = Channel::Soft;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let text = if self.0 {
            let again = tx.dialect().on_conflict(&["name"], &[]);
            format!("INSERT INTO settings (name, value) VALUES ('paused', '') {again}")
        } else {
            "DELETE FROM settings WHERE name = 'paused'".to_owned()
        };
        tx.execute(Statement::made(text)).await?;
        Ok(())
    }

    fn wakes_worker(&self, (): &()) -> bool {
        !self.0
    }
}
