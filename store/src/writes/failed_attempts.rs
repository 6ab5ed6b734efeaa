//! Attempts that failed.

use crate::dialect::Dialect;
use crate::statement::Statement;
use crate::{Job, Timestamp, bulk};

/// What remembers why attempts failed, and when. The caller counts them.
pub(super) fn insert_failures(
    failures: &[(&Job, &str, Timestamp)],
    dialect: Dialect,
) -> Vec<Statement> {
    let insert = |chunk: Vec<Option<&(&Job, &str, Timestamp)>>| {
        let text = format!(
            "INSERT INTO failed_attempts (message_id, attempt, error, failed_at)
             WITH new (message_id, attempt, error, failed_at) AS ({})
             SELECT message_id, attempt, error, failed_at FROM new WHERE attempt IS NOT NULL",
            bulk::values(dialect, chunk.len(), 4, 1)
        );
        let statement = Statement::new(bulk::statement(text));
        chunk.into_iter().fold(statement, |statement, failure| {
            statement
                .bind(failure.map(|(job, ..)| job.id.as_str()))
                .bind(failure.map(|(job, ..)| job.attempt))
                .bind(failure.map(|(_, error, _)| *error))
                .bind(failure.map(|(.., at)| at.as_millis()))
        })
    };
    bulk::padded(failures).map(insert).collect()
}
