//! Changes of rights, for those who hold live sessions and rules.

use sqlx::AnyConnection;

use crate::reads::rights_changes::{KEPT, LAST};
use crate::{Changed, StoreError, Timestamp, bulk};

/// Writes changes down, in the transaction that makes them, and forgets the oldest. Their numbers follow one another in the
/// order of commits: the counter is this transaction's from here on until it is committed.
pub(crate) async fn record(
    conn: &mut AnyConnection,
    changes: &[Changed],
    now: Timestamp,
) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query("UPDATE counters SET value = value + $1 WHERE name = 'rights'")
        .bind(changes.len() as i64)
        .execute(&mut *conn)
        .await?;
    let last: i64 = sqlx::query_scalar(LAST).fetch_one(&mut *conn).await?;
    let first = last - changes.len() as i64 + 1;
    let numbered: Vec<_> = (first..).zip(changes).collect();
    for chunk in bulk::chunks(&numbered) {
        let text = format!(
            "INSERT INTO rights_changes (id, kind, username, token_id, at) VALUES {}",
            bulk::rows(chunk.len(), 5, 1)
        );
        let mut query = sqlx::query(bulk::statement(text));
        for (id, changed) in chunk {
            let (kind, username, token) = match changed {
                Changed::Policy => ("policy", None, None),
                Changed::User(username) => ("user", Some(username), None),
                Changed::Password(username) => ("password", Some(username), None),
                Changed::Token { owner, token } => ("token", Some(owner), Some(token)),
            };
            query = query
                .bind(*id)
                .bind(kind)
                .bind(username.map(|username| username.as_str()))
                .bind(token.map(|token| token.as_str()))
                .bind(now.as_millis());
        }
        query.execute(&mut *conn).await?;
    }
    sqlx::query("DELETE FROM rights_changes WHERE id <= $1")
        .bind(last - KEPT)
        .execute(conn)
        .await?;
    Ok(())
}
