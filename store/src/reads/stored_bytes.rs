//! How much room users take in the database.

use std::collections::BTreeMap;

use sqlx::Row as _;

use crate::statement::Statement;
use crate::{Store, StoreError, UserId, bulk};

impl Store {
    /// How many bytes are kept of each of these users: those of texts, and a fixed number for each message, attempt that
    /// failed and notification. Who does not exist is left out.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn stored_bytes(
        &self,
        users: &[&UserId],
    ) -> Result<BTreeMap<UserId, u64>, StoreError> {
        let mut found = BTreeMap::new();
        for chunk in bulk::padded(users) {
            let text = format!(
                "SELECT user_id, stored_bytes FROM user_queues WHERE user_id IN ({})",
                bulk::list(chunk.len(), 1)
            );
            let statement = Statement::made(text);
            let users = chunk.into_iter().fold(statement, |statement, user| {
                statement.bind(user.map(|user| user.as_str()))
            });
            for row in self.readers().fetch_all(users).await? {
                let user: String = row.try_get("user_id")?;
                let bytes: i64 = row.try_get("stored_bytes")?;
                found.insert(UserId::from_string(user), bytes.unsigned_abs());
            }
        }
        Ok(found)
    }
}
