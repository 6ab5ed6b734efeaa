//! Changes of rights, for those who hold live sessions and rules.

use sqlx::Row as _;

use crate::bulk::{RowsInsert, TextBytes};
use crate::dialect::Dialect;
use crate::reads::rights_changes::{KEPT, LAST};
use crate::statement::{Script, Statement};
use crate::writer::Transaction;
use crate::{Changed, StoreError, Timestamp};

const INSERT: RowsInsert = RowsInsert {
    table: "rights_changes",
    columns: &["id", "kind", "username", "token_id", "at"],
    given: "id",
    fixed: None,
};

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
    tx.changes_rights(changes);
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
    script.add_all(insert(&numbered, now, tx.dialect()));
    let forget = Statement::new("DELETE FROM rights_changes WHERE id <= $1");
    script.add(forget.bind(last - KEPT));
    tx.defer(script).await
}

/// A change has no texts of users but names.
impl TextBytes for (i64, &Changed) {
    fn text_bytes(&self) -> usize {
        0
    }
}

fn insert(numbered: &[(i64, &Changed)], now: Timestamp, dialect: Dialect) -> Vec<Statement> {
    INSERT.statements(dialect, numbered, "", |statement, one| {
        let (kind, username, id) = match one.map(|(_, changed)| *changed) {
            None => (None, None, None),
            Some(Changed::Policy) => (Some("policy"), None, None),
            Some(Changed::User(username)) => (Some("user"), Some(username), None),
            Some(Changed::Password(username)) => (Some("password"), Some(username), None),
            Some(Changed::Credential { owner, id }) => (Some("token"), Some(owner), Some(id)),
            Some(Changed::Forgotten(username)) => (Some("forgotten"), Some(username), None),
        };
        statement
            .bind(one.map(|(id, _)| *id))
            .bind(kind)
            .bind(username.map(|username| username.as_str()))
            .bind(id.map(String::as_str))
            .bind(now.as_millis())
    })
}
