//! Wills of MQTT clients whose servers are gone.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::mqtt_sessions::{is_live, key};
use crate::statement::Statement;
use crate::{Departure, ProcessId, SessionKey, Store, StoreError, Timestamp};

/// A will that nobody publishes, as its process is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostWill {
    /// Of which session.
    pub key: SessionKey,
    /// Which process had it.
    pub process: ProcessId,
    /// Of the takeover that brought it.
    pub number: i64,
    /// How long it waits once its client has gone.
    pub delay: Duration,
    /// When that was; `None`: when the process ended.
    pub gone_at: Option<Timestamp>,
}

impl Store {
    /// Up to `limit` wills of processes that are not there any more: those behind `after`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn lost_wills(
        &self,
        after: Option<&SessionKey>,
        limit: u32,
    ) -> Result<Vec<LostWill>, StoreError> {
        let dialect = self.readers().dialect();
        let (behind, values) = dialect.compare_rows(&["user_id", "client_id"], '>', 1);
        let text = format!(
            "SELECT user_id, client_id, process, number, delay_ms, gone_at FROM mqtt_wills
             WHERE {} = 0 AND {behind} ORDER BY user_id, client_id LIMIT ${}",
            is_live(dialect, "mqtt_wills"),
            values.len() + 1
        );
        let after = after.map_or(["", ""], |key| [key.user.as_str(), &*key.client_id]);
        let lost = values.iter().map(|column| after[*column].to_owned());
        let lost = Statement::made(text).bind_all(lost).bind(i64::from(limit));
        let one = |row: &AnyRow| {
            let delay: i64 = row.try_get("delay_ms")?;
            let gone_at: Option<i64> = row.try_get("gone_at")?;
            Ok(LostWill {
                key: key(row)?,
                process: ProcessId::from_string(row.try_get::<String, _>("process")?),
                number: row.try_get("number")?,
                delay: Duration::from_millis(u64::try_from(delay).unwrap_or(0)),
                gone_at: gone_at.map(Timestamp::from_millis),
            })
        };
        let rows = self.readers().fetch_all(lost).await?;
        rows.iter().map(one).collect()
    }

    /// Up to `limit` wills of this process, those behind `after`, each with the number of the takeover that brought it.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn own_wills(
        &self,
        after: Option<&SessionKey>,
        limit: u32,
    ) -> Result<Vec<Departure>, StoreError> {
        let own = self.own_page("mqtt_wills", "number", after, limit);
        let one = |(key, number)| Departure { key, number };
        Ok(own.await?.into_iter().map(one).collect())
    }
}
