//! What tells an unfinished copy from a database that can be used.

use sqlx::{AnyConnection, Row as _};

use crate::statement::Statement;
use crate::{StoreError, dialect::Dialect};

/// The name of the setting. It is there until all is copied and compared.
const MARK: &str = "transfer";

/// For all settings but the mark.
pub(super) const NO_MARK: &str = "name <> 'transfer'";

/// What marks a database as an unfinished copy of `source`.
pub(super) fn set(source: &str) -> Statement {
    Statement::new("INSERT INTO settings (name, value) VALUES ($1, $2)")
        .bind(MARK)
        .bind(source.to_owned())
}

/// What takes the mark away.
pub(super) fn clear() -> Statement {
    Statement::new("DELETE FROM settings WHERE name = $1").bind(MARK)
}

/// What the database is an unfinished copy of, if it is one.
pub(super) async fn read(
    conn: &mut AnyConnection,
    dialect: Dialect,
) -> Result<Option<String>, sqlx::Error> {
    let mark = Statement::new("SELECT value FROM settings WHERE name = $1").bind(MARK);
    let row = mark.query(dialect)?.fetch_optional(conn).await?;
    row.map(|row| row.try_get("value")).transpose()
}

/// Refuses a database that is an unfinished copy: it has not all that there was.
pub(crate) async fn refuse_unfinished(
    conn: &mut AnyConnection,
    dialect: Dialect,
    database: impl FnOnce() -> String,
) -> Result<(), StoreError> {
    match read(conn, dialect).await? {
        None => Ok(()),
        Some(source) => Err(StoreError::Unfinished {
            database: database(),
            source_database: source,
        }),
    }
}
