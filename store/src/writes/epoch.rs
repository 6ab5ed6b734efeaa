//! A new epoch of all inboxes.

use crate::statement::Statement;
use crate::writer::{Operation, Transaction};
use crate::{Epoch, Store, StoreError};

impl Store {
    /// Begins a new epoch: for a database that is older than what clients may have seen, before it serves any.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn begin_epoch(&self) -> Result<Epoch, StoreError> {
        let epoch = Epoch::new();
        self.write(Begin(epoch.clone())).await?;
        self.current_epoch().set(epoch.clone());
        Ok(epoch)
    }
}

struct Begin(Epoch);

impl Operation for Begin {
    type Output = ();

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let begin = Statement::new("UPDATE inbox_epoch SET epoch = $1 WHERE id = 1");
        tx.execute(begin.bind(self.0.as_str())).await?;
        Ok(())
    }
}
