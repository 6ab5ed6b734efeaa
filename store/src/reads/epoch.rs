//! How far the inboxes have come.

use sqlx::Row as _;

use crate::epoch::READ;
use crate::statement::Statement;
use crate::{Epoch, InboxProgress, Store, StoreError};

impl Store {
    /// The epoch of all inboxes.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.current_epoch().get()
    }

    /// How far the inboxes have come. What it returns is durable.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn inbox_progress(&self) -> Result<InboxProgress, StoreError> {
        let row = self.readers().fetch_one(Statement::new(READ)).await?;
        Ok(InboxProgress {
            epoch: Epoch::of(row.try_get("epoch")?),
            changes: row.try_get("changes")?,
        })
    }
}
