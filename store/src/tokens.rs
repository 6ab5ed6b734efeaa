//! Access tokens.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::{StoreError, Timestamp, TokenId};

/// What an access token opens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes {
    /// The REST API.
    pub api: bool,
    /// MQTT.
    pub mqtt: bool,
}

/// An access token. Its secret is not kept, only a hash of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// What its owner calls it.
    pub name: String,
    /// What it opens.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None`: it does not.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, within some minutes; `None`: never.
    pub last_used_at: Option<Timestamp>,
}

/// Reads a token from a row that has its columns.
pub(crate) fn token(row: &AnyRow) -> Result<Token, StoreError> {
    let expires_at: Option<i64> = row.try_get("expires_at")?;
    let last_used_at: Option<i64> = row.try_get("last_used_at")?;
    Ok(Token {
        id: TokenId::from_string(row.try_get::<String, _>("token_id")?),
        name: row.try_get("name")?,
        scopes: Scopes {
            api: row.try_get::<i64, _>("scope_api")? != 0,
            mqtt: row.try_get::<i64, _>("scope_mqtt")? != 0,
        },
        created_at: Timestamp::from_millis(row.try_get("token_created_at")?),
        expires_at: expires_at.map(Timestamp::from_millis),
        last_used_at: last_used_at.map(Timestamp::from_millis),
    })
}
