//! Changes of rights, for those who hold live sessions and rules.

use sqlx::Row as _;

use crate::reads::rights_changes::{KEPT, LAST};
use crate::statement::{Script, Statement};
use crate::writer::Transaction;
use crate::{Changed, StoreError, Timestamp, bulk};

/// Writes changes down, in the transaction that makes them, and forgets the oldest. Their numbers follow one another in the
/// order of commits: the counter is this transaction's from here on until it is committed.
pub(crate) async fn record(
    tx: &mut Transaction<'_>,
    changes: &[Changed],
    now: Timestamp,
) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut script = Script::default();
    let count = Statement::new("UPDATE counters SET value = value + $1 WHERE name = 'rights'");
    script.add(count.bind(changes.len() as i64));
    let last = script.add(Statement::new(LAST));
    let results = tx.run(script).await?;
    let last = results.rows(&last).next();
    let last: i64 = last.ok_or(sqlx::Error::RowNotFound)?.try_get("value")?;
    let first = last - changes.len() as i64 + 1;
    let numbered: Vec<_> = (first..).zip(changes).collect();
    let mut script = Script::default();
    script.add_all(bulk::chunks(&numbered).map(|chunk| insert(chunk, now)));
    let forget = Statement::new("DELETE FROM rights_changes WHERE id <= $1");
    script.add(forget.bind(last - KEPT));
    tx.run(script).await?;
    Ok(())
}

fn insert(numbered: &[(i64, &Changed)], now: Timestamp) -> Statement {
    let text = format!(
        "INSERT INTO rights_changes (id, kind, username, token_id, at) VALUES {}",
        bulk::rows(numbered.len(), 5, 1)
    );
    let bind = |statement: Statement, (id, changed): &(i64, &Changed)| {
        let (kind, username, token) = match changed {
            Changed::Policy => ("policy", None, None),
            Changed::User(username) => ("user", Some(username), None),
            Changed::Password(username) => ("password", Some(username), None),
            Changed::Token { owner, token } => ("token", Some(owner), Some(token)),
        };
        statement
            .bind(*id)
            .bind(kind)
            .bind(username.map(|username| username.as_str()))
            .bind(token.map(|token| token.as_str()))
            .bind(now.as_millis())
    };
    let statement = Statement::new(bulk::statement(text));
    numbered.iter().fold(statement, bind)
}
