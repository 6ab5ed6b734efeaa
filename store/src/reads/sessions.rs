//! Sessions of browsers.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::dialect::Param;
use crate::ids::AFTER_ALL;
use crate::page::{JsonBytes, item_bytes};
use crate::sessions::unused_since;
use crate::statement::Statement;
use crate::users::user;
use crate::{Moment, Page, Session, SessionId, Store, StoreError, Timestamp, UserId};

/// A session, as its user sees it in the list of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession {
    /// Its id; later sessions have greater ones.
    pub id: SessionId,
    /// The IP address that the browser signed in from.
    pub address: String,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// See [`Session::last_used_at`].
    pub last_used_at: Timestamp,
    /// See [`Session::expires_at`].
    pub expires_at: Timestamp,
}

impl Store {
    /// The session whose secret has the hash `secret_hash`, unless it has ended by `now` or its
    /// user is disabled.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn session(
        &self,
        secret_hash: &str,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let session = Statement::new(
            "SELECT u.id, u.username, u.role, u.password_hash, u.disabled, u.created_at,
                s.id AS session_id, s.csrf_token, s.last_used_at, s.expires_at
             FROM sessions s JOIN users u ON u.id = s.user_id
             WHERE s.secret_hash = $1 AND s.expires_at > $2 AND s.last_used_at > $3
                AND u.disabled = 0",
        )
        .bind(secret_hash)
        .bind(now.as_millis())
        .bind(unused_since(now));
        let Some(row) = self.readers().fetch_optional(session).await? else {
            return Ok(None);
        };
        Ok(Some(Session {
            id: SessionId::from_string(row.try_get::<String, _>("session_id")?),
            secret_hash: secret_hash.to_owned(),
            user: user(&row)?,
            csrf_token: row.try_get("csrf_token")?,
            last_used_at: Timestamp::from_millis(row.try_get("last_used_at")?),
            expires_at: Timestamp::from_millis(row.try_get("expires_at")?),
        }))
    }

    /// The same as [`session`](Self::session), as it was less than a second ago: it may be known without a read.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn known_session(
        &self,
        secret_hash: &str,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let known = self.credentials().session(secret_hash, Moment::now());
        if let Some(session) = known.filter(|session| is_valid(session, now)) {
            return Ok(Some(session));
        }
        let look_up = self.credentials().look_up();
        let session = self.session(secret_hash, now).await?;
        if let Some(session) = &session {
            let credentials = self.credentials();
            credentials.keep_session(look_up, session, Moment::now());
        }
        Ok(session)
    }

    /// Up to `limit` sessions of a user that have not ended by `now`, the newest first, those that began before `before`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn list_sessions(
        &self,
        user: &UserId,
        before: Option<&SessionId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<ListedSession>, StoreError> {
        let text =
            "SELECT id, address, user_agent, created_at, last_used_at, expires_at FROM sessions
             WHERE user_id = $1 AND id < $2 AND expires_at > $3 AND last_used_at > $4
             ORDER BY id DESC LIMIT $5";
        let params = [
            Param::Text(user.as_str()),
            Param::Text(before.map_or(AFTER_ALL, SessionId::as_str)),
            Param::Int(now.as_millis()),
            Param::Int(unused_since(now)),
            Param::Int(i64::from(limit) + 1),
        ];
        self.lists()
            .page(text.to_owned(), &params, limit, listed)
            .await
    }
}

/// The same as what [`Store::session`] asks the database for.
fn is_valid(session: &Session, now: Timestamp) -> bool {
    session.expires_at > now
        && session.last_used_at.as_millis() > unused_since(now)
        && !session.user.disabled
}

impl JsonBytes for ListedSession {
    fn json_bytes(&self) -> usize {
        item_bytes([Some(&*self.address), self.user_agent.as_deref()])
    }
}

fn listed(row: &AnyRow) -> Result<ListedSession, StoreError> {
    Ok(ListedSession {
        id: SessionId::from_string(row.try_get::<String, _>("id")?),
        address: row.try_get("address")?,
        user_agent: row.try_get("user_agent")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        last_used_at: Timestamp::from_millis(row.try_get("last_used_at")?),
        expires_at: Timestamp::from_millis(row.try_get("expires_at")?),
    })
}
