//! Attempts that failed.

use crate::bulk::{RowsInsert, TextBytes};
use crate::dialect::Dialect;
use crate::statement::Statement;
use crate::{Job, Timestamp};

const INSERT: RowsInsert = RowsInsert {
    table: "failed_attempts",
    columns: &["message_id", "attempt", "error", "failed_at"],
    given: "attempt",
    fixed: None,
};

impl TextBytes for (&Job, &str, Timestamp) {
    fn text_bytes(&self) -> usize {
        self.1.len()
    }
}

/// What remembers why attempts failed, and when. The caller counts them.
pub(super) fn insert_failures(
    failures: &[(&Job, &str, Timestamp)],
    dialect: Dialect,
) -> Vec<Statement> {
    INSERT.statements(dialect, failures, "", |statement, failure| {
        statement
            .bind(failure.map(|(job, ..)| job.id.as_str()))
            .bind(failure.map(|(job, ..)| job.attempt))
            .bind(failure.map(|(_, error, _)| *error))
            .bind(failure.map(|(.., at)| at.as_millis()))
    })
}
