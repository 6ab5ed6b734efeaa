//! How long messages wait before they are worked on.

use herald_acl::Username;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::dialect::Param;
use crate::page::{JsonBytes, item_bytes};
use crate::statement::Statement;
use crate::users::parse_username;
use crate::{Delay, Page, Store, StoreError, UserId};

/// The name of the delay in the settings.
pub(crate) const NAME: &str = "delay";

impl Store {
    /// The delay of the messages that are accepted from now on, of users who have none of their own.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn delay(&self) -> Result<Delay, StoreError> {
        let setting = Statement::new("SELECT value FROM settings WHERE name = $1").bind(NAME);
        let row = self.readers().fetch_optional(setting).await?;
        let value: Option<&str> = row.as_ref().map(|row| row.try_get("value")).transpose()?;
        stored_delay(value)
    }

    /// The delay that `user` alone has; `None` if it is that of all others, or if there is no such account.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn user_delay(&self, user: &UserId) -> Result<Option<Delay>, StoreError> {
        let own = Statement::new("SELECT delay FROM users WHERE id = $1").bind(user.as_str());
        let row = self.readers().fetch_optional(own).await?;
        let own: Option<Option<&str>> = row.as_ref().map(|row| row.try_get("delay")).transpose()?;
        let own = own.flatten();
        own.map(|own| stored_delay(Some(own))).transpose()
    }

    /// Up to `limit` users who have a delay of their own, by name, those after `after`, each with it.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn list_user_delays(
        &self,
        after: Option<&Username>,
        limit: u32,
    ) -> Result<Page<(Username, Delay)>, StoreError> {
        let text = "SELECT username, delay FROM users
             WHERE delay IS NOT NULL AND username > $1 ORDER BY username LIMIT $2";
        let params = [
            Param::Text(after.map_or("", Username::as_str)),
            Param::Int(i64::from(limit) + 1),
        ];
        let read = |row: &AnyRow| {
            let name = parse_username(row.try_get("username")?)?;
            Ok((name, stored_delay(row.try_get("delay")?)?))
        };
        self.lists()
            .page(text.to_owned(), &params, limit, read)
            .await
    }
}

impl JsonBytes for (Username, Delay) {
    fn json_bytes(&self) -> usize {
        item_bytes([Some(self.0.as_str())])
    }
}

/// Reads a delay that the database holds; `None` is a setting that was never made.
pub(crate) fn stored_delay(value: Option<&str>) -> Result<Delay, StoreError> {
    let Some(value) = value else {
        return Ok(Delay::DEFAULT);
    };
    Delay::from_setting(value).ok_or(StoreError::Invalid { what: "delay" })
}
