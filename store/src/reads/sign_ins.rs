//! What is counted of sign-ins.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::statement::Statement;
use crate::{SignInCount, SignInKey, Store, StoreError, Timestamp, bulk};

impl Store {
    /// What is counted by these keys at `now` on all servers that share the database. Nothing of a file: its one server
    /// counts in memory.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn sign_in_counts(
        &self,
        keys: &[SignInKey],
        now: Timestamp,
    ) -> Result<Vec<SignInCount>, StoreError> {
        if self.is_exclusive() {
            return Ok(vec![]);
        }
        let text = format!(
            "SELECT sign_in_key, failures, ends_at FROM sign_ins WHERE ends_at > $1 AND sign_in_key IN ({})",
            bulk::list(keys.len(), 2)
        );
        let keys = keys.iter().map(|key| key.as_str().to_owned());
        let counts = Statement::made(text).bind(now.as_millis()).bind_all(keys);
        let rows = self.readers().fetch_all(counts).await?;
        rows.iter().map(count).collect()
    }
}

fn count(row: &AnyRow) -> Result<SignInCount, StoreError> {
    let failures: i64 = row.try_get("failures")?;
    Ok(SignInCount {
        key: SignInKey::from_text(row.try_get("sign_in_key")?),
        failures: u32::try_from(failures).unwrap_or(u32::MAX),
        ends_at: Timestamp::from_millis(row.try_get("ends_at")?),
    })
}
