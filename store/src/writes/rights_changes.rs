//! Changes of rights, for those who hold live sessions and rules.

use herald_acl::Username;
use sqlx::AnyConnection;

use crate::reads::rights_changes::KEPT;
use crate::{Changed, StoreError, Timestamp, TokenId};

/// Writes a change down, in the transaction that makes it, and forgets the oldest.
pub(crate) async fn record(
    conn: &mut AnyConnection,
    changed: &Changed,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (kind, username, token) = match changed {
        Changed::Policy => ("policy", None, None),
        Changed::User(username) => ("user", Some(username), None),
        Changed::Password(username) => ("password", Some(username), None),
        Changed::Token { owner, token } => ("token", Some(owner), Some(token)),
    };
    sqlx::query(
        "INSERT INTO rights_changes (kind, username, token_id, at) VALUES ($1, $2, $3, $4)",
    )
    .bind(kind)
    .bind(username.map(Username::as_str))
    .bind(token.map(TokenId::as_str))
    .bind(now.as_millis())
    .execute(&mut *conn)
    .await?;
    forget_oldest(conn).await
}

/// Forgets the changes that are more than are kept.
pub(crate) async fn forget_oldest(conn: &mut AnyConnection) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM rights_changes WHERE id <= (SELECT MAX(id) FROM rights_changes) - $1")
        .bind(KEPT)
        .execute(conn)
        .await?;
    Ok(())
}
