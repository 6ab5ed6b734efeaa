//! MQTT sessions of all servers that share a database.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::dialect::Param;
use crate::mqtt_sessions::{is_live, key};
use crate::page::{JsonBytes, item_bytes};
use crate::statement::Statement;
use crate::{
    EndReason, HeldSession, MqttSession, Page, ProcessId, SessionEnd, SessionKey, Store,
    StoreError, Timestamp, UserId,
};

/// A session, and which server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedMqttSession {
    /// What is known of it.
    pub session: MqttSession,
    /// The name of its user.
    pub username: String,
    /// Which process has it.
    pub process: ProcessId,
    /// What the machine of that process calls itself.
    pub node: String,
}

impl Store {
    /// Up to `limit` sessions that a server has which is there, of `user` alone if it is given, by their [ids](MqttSession::id):
    /// those behind `after`, which may have ended.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn list_mqtt_sessions(
        &self,
        user: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<ListedMqttSession>, StoreError> {
        let after = Param::Text(after.unwrap_or(""));
        let limit_param = Param::Int(i64::from(limit) + 1);
        let (condition, params) = match user {
            Some(user) => (
                "u.username = $1 AND s.id > $2",
                vec![Param::Text(user), after, limit_param],
            ),
            None => ("s.id > $1", vec![after, limit_param]),
        };
        let text = self.listed_text(&format!(
            "{condition} ORDER BY s.id LIMIT ${}",
            params.len()
        ));
        self.lists().page(text, &params, limit, listed).await
    }

    /// The session with this [id](MqttSession::id), if a server has it which is there.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn mqtt_session(&self, id: &str) -> Result<Option<ListedMqttSession>, StoreError> {
        // A text with NUL cannot be asked for everywhere.
        if id.contains('\0') {
            return Ok(None);
        }
        let text = self.listed_text("s.id = $1");
        self.lists().first(text, &[Param::Text(id)], listed).await
    }

    fn listed_text(&self, condition: &str) -> String {
        format!(
            "SELECT s.user_id, s.client_id, s.process, s.id, s.token_id, s.peer, s.transport, s.protocol, s.connected_at,
                s.keep_alive_s, u.username, n.name
             FROM mqtt_sessions s JOIN users u ON u.id = s.user_id JOIN nodes n ON n.process = s.process
             WHERE n.lease_until > {} AND {condition}",
            self.readers().dialect().now_millis()
        )
    }

    /// Up to `limit` sessions that this process has to end, those of one user beside each other.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn session_ends(&self, limit: u32) -> Result<Vec<SessionEnd>, StoreError> {
        let ends = Statement::new(
            "SELECT e.user_id, e.client_id, e.number, e.reason, u.username
             FROM mqtt_session_ends e LEFT JOIN users u ON u.id = e.user_id
             WHERE e.process = $1 ORDER BY e.user_id, e.client_id LIMIT $2",
        );
        let ends = ends.bind(self.process().as_str()).bind(i64::from(limit));
        let rows = self.readers().fetch_all(ends).await?;
        let end = |row: &AnyRow| {
            Ok(SessionEnd {
                key: key(row)?,
                username: row.try_get("username")?,
                number: row.try_get("number")?,
                reason: EndReason::parse(row.try_get("reason")?),
            })
        };
        rows.iter().map(end).collect()
    }

    /// Whether another process, which is there, has the session `key`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn is_session_elsewhere(&self, key: &SessionKey) -> Result<bool, StoreError> {
        self.is_elsewhere("mqtt_sessions", key).await
    }

    /// Whether another process, which is there, still has to end the session `key`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn is_session_awaited(&self, key: &SessionKey) -> Result<bool, StoreError> {
        self.is_elsewhere("mqtt_session_ends", key).await
    }

    /// Whether `table` has a row of this session and of another process which is there.
    async fn is_elsewhere(
        &self,
        table: &'static str,
        key: &SessionKey,
    ) -> Result<bool, StoreError> {
        let text = format!(
            "SELECT 1 FROM {table} e
             WHERE e.user_id = $1 AND e.client_id = $2 AND e.process <> $3 AND {} = 1 LIMIT 1",
            is_live(self.readers().dialect(), "e")
        );
        let awaited = Statement::made(text).bind(key.user.as_str());
        let awaited = awaited.bind(&*key.client_id).bind(self.process().as_str());
        Ok(self.readers().fetch_optional(awaited).await?.is_some())
    }

    /// How many sessions of `user` there are in other processes that are there.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn mqtt_sessions_elsewhere(&self, user: &UserId) -> Result<u64, StoreError> {
        let text = format!(
            "SELECT COUNT(*) AS sessions FROM mqtt_sessions s
             WHERE s.user_id = $1 AND s.process <> $2 AND {} = 1",
            is_live(self.readers().dialect(), "s")
        );
        let count = Statement::made(text).bind(user.as_str());
        let count = count.bind(self.process().as_str());
        let row = self.readers().fetch_one(count).await?;
        let sessions: i64 = row.try_get("sessions")?;
        Ok(u64::try_from(sessions).unwrap_or(0))
    }

    /// Up to `limit` sessions that this process has, those behind `after`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn own_mqtt_sessions(
        &self,
        after: Option<&SessionKey>,
        limit: u32,
    ) -> Result<Vec<HeldSession>, StoreError> {
        let own = self.own_page("mqtt_sessions", "first_number", after, limit);
        let one = |(key, first_number)| HeldSession { key, first_number };
        Ok(own.await?.into_iter().map(one).collect())
    }

    /// A page of what this process has in `table`, each with the number in this column.
    pub(super) async fn own_page(
        &self,
        table: &'static str,
        number: &'static str,
        after: Option<&SessionKey>,
        limit: u32,
    ) -> Result<Vec<(SessionKey, i64)>, StoreError> {
        let dialect = self.readers().dialect();
        let (behind, values) = dialect.compare_rows(&["user_id", "client_id"], '>', 2);
        let text = format!(
            "SELECT user_id, client_id, {number} FROM {table}
             WHERE process = $1 AND {behind} ORDER BY user_id, client_id LIMIT ${}",
            values.len() + 2
        );
        let after = after.map_or(["", ""], |key| [key.user.as_str(), &*key.client_id]);
        let own = Statement::made(text).bind(self.process().as_str());
        let own = own.bind_all(values.iter().map(|column| after[*column].to_owned()));
        let rows = self.readers().fetch_all(own.bind(i64::from(limit))).await?;
        let one = |row: &AnyRow| Ok((key(row)?, row.try_get(number)?));
        rows.iter().map(one).collect()
    }
}

impl JsonBytes for ListedMqttSession {
    fn json_bytes(&self) -> usize {
        let session = &self.session;
        item_bytes([Some(&*session.key.client_id), session.token_id.as_deref()])
    }
}

fn listed(row: &AnyRow) -> Result<ListedMqttSession, StoreError> {
    Ok(ListedMqttSession {
        session: MqttSession {
            key: key(row)?,
            id: row.try_get("id")?,
            token_id: row.try_get("token_id")?,
            peer: row.try_get("peer")?,
            transport: row.try_get("transport")?,
            protocol: row.try_get("protocol")?,
            connected_at: Timestamp::from_millis(row.try_get("connected_at")?),
            keep_alive_s: u16::try_from(row.try_get::<i64, _>("keep_alive_s")?).unwrap_or(u16::MAX),
        },
        username: row.try_get("username")?,
        process: ProcessId::from_string(row.try_get::<String, _>("process")?),
        node: row.try_get("name")?,
    })
}
