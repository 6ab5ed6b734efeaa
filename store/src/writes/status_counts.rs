//! How many messages there are of each status, where no trigger counts them: on MariaDB and MySQL, where many a user may create
//! none, and where they run once for each row and not at all for what goes with another row.

use std::collections::BTreeMap;

use crate::dialect::Dialect;
use crate::statement::Statement;
use crate::{Status, bulk};

/// How many more messages have each status; negative for fewer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct StatusCounts(BTreeMap<&'static str, i64>);

impl StatusCounts {
    /// So many messages go from one status to another; from none if they are new, to none if they are deleted.
    pub(crate) fn moved(&mut self, from: Option<Status>, to: Option<Status>, count: i64) {
        for (status, count) in [(from, -count), (to, count)] {
            if let Some(status) = status {
                *self.0.entry(status.as_str()).or_default() += count;
            }
        }
    }

    /// What counts them, if that is not done elsewhere. Connections have rows of their own, as long as they are few, so that
    /// none waits for another.
    pub(crate) fn statement(&self, dialect: Dialect) -> Option<Statement> {
        let changed = self.0.iter().filter(|(_, count)| **count != 0);
        let changed: Vec<_> = changed.collect();
        if dialect != Dialect::MySql || changed.is_empty() {
            return None;
        }
        let row = |row: usize| {
            format!(
                "(${}, CONNECTION_ID() % 256, ${})",
                2 * row + 1,
                2 * row + 2
            )
        };
        let rows: Vec<_> = (0..changed.len()).map(row).collect();
        let text = format!(
            "INSERT INTO message_counts (status, backend, count) VALUES {}
             ON DUPLICATE KEY UPDATE count = count + VALUES(count)",
            rows.join(", ")
        );
        let statement = Statement::new(bulk::statement(text));
        Some(changed.into_iter().fold(statement, |statement, change| {
            statement.bind(*change.0).bind(*change.1)
        }))
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Execute as _;

    use super::*;

    #[test]
    fn messages_are_counted_where_no_trigger_does() {
        let mut counts = StatusCounts::default();
        assert!(counts.statement(Dialect::MySql).is_none());
        counts.moved(None, Some(Status::Queued), 3);
        counts.moved(Some(Status::Queued), Some(Status::Processing), 2);
        counts.moved(Some(Status::Dead), None, 1);
        counts.moved(None, Some(Status::Dead), 1);
        assert_eq!(
            counts.0,
            BTreeMap::from([("dead", 0), ("processing", 2), ("queued", 1)])
        );
        assert!(counts.statement(Dialect::Postgres).is_none());
        let text = counts.statement(Dialect::MySql).unwrap().0.sql();
        let rows = "VALUES ($1, CONNECTION_ID() % 256, $2), ($3, CONNECTION_ID() % 256, $4)\n";
        assert!(text.as_str().contains(rows), "{}", text.as_str());
    }
}
