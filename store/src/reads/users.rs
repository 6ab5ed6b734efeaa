//! Accounts.

use herald_acl::Username;
use sqlx::Row as _;

use crate::dialect::Param;
use crate::page::{JsonBytes, item_bytes};
use crate::statement::Statement;
use crate::users::user;
use crate::{Page, Store, StoreError, User};

impl Store {
    /// The account with this name.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn user_by_name(&self, username: &Username) -> Result<Option<User>, StoreError> {
        let account = Statement::new(
            "SELECT id, username, role, password_hash, disabled, created_at
             FROM users WHERE username = $1",
        )
        .bind(username.as_str());
        let row = self.readers().fetch_optional(account).await?;
        row.as_ref().map(user).transpose()
    }

    /// Up to `limit` accounts by name, those after `after`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn list_users(
        &self,
        after: Option<&Username>,
        limit: u32,
    ) -> Result<Page<User>, StoreError> {
        let text = "SELECT id, username, role, password_hash, disabled, created_at
             FROM users WHERE username > $1 ORDER BY username LIMIT $2";
        let params = [
            Param::Text(after.map_or("", Username::as_str)),
            Param::Int(i64::from(limit) + 1),
        ];
        self.lists()
            .page(text.to_owned(), &params, limit, user)
            .await
    }

    /// How many accounts there are.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn count_users(&self) -> Result<u64, StoreError> {
        let users = Statement::new("SELECT COUNT(*) AS users FROM users");
        let count: i64 = self.readers().fetch_one(users).await?.try_get("users")?;
        Ok(count.unsigned_abs())
    }
}

impl JsonBytes for User {
    fn json_bytes(&self) -> usize {
        item_bytes([Some(self.username.as_str())])
    }
}
