//! Claims that are stopped, and go on.

use crate::writer::{Operation, Transaction};
use crate::{Store, StoreError};

impl Store {
    /// Stops claims, on all servers of this database, until [`resume`](Self::resume); what is claimed goes on.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn pause(&self) -> Result<(), StoreError> {
        self.write(SetPaused(true)).await
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

impl Operation for SetPaused {
    type Output = ();

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let conn = tx.connection();
        let statement = if self.0 {
            "INSERT INTO settings (key, value) VALUES ('paused', '') ON CONFLICT (key) DO NOTHING"
        } else {
            "DELETE FROM settings WHERE key = 'paused'"
        };
        sqlx::query(statement).execute(conn).await?;
        Ok(())
    }

    fn wakes_worker(&self, (): &()) -> bool {
        !self.0
    }
}
