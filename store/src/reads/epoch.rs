//! How far the inboxes have come.

use crate::epoch::READ;
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
        let (epoch, changes): (String, i64) =
            sqlx::query_as(READ).fetch_one(self.readers()).await?;
        let epoch = Epoch::of(epoch);
        Ok(InboxProgress { epoch, changes })
    }
}
