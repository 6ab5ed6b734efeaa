//! What is counted where no trigger counts it: on MariaDB and MySQL, where many a user may create none, and where they run once
//! for each row and not at all for what goes with another row.

use crate::Status;
use crate::dialect::{Dialect, mysql};
use crate::statement::{Script, Statement};

/// What a transaction changes of what is counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// How many more messages have each status; negative for fewer.
    statuses: [i64; Status::ALL.len()],
    /// Whether a number of an inbox was given.
    inboxes: bool,
}

impl Counts {
    /// So many messages go from one status to another; from none if they are new, to none if they are deleted.
    pub(crate) fn moved(&mut self, from: Option<Status>, to: Option<Status>, count: i64) {
        for (status, count) in [(from, -count), (to, count)] {
            if let Some(status) = status {
                self.statuses[status as usize] += count;
            }
        }
    }

    /// Numbers of inboxes are given.
    pub(crate) fn inboxes_change(&mut self) {
        self.inboxes = true;
    }

    /// Counts these, too.
    pub(crate) fn add(&mut self, others: &Self) {
        for (mine, theirs) in self.statuses.iter_mut().zip(others.statuses) {
            *mine += theirs;
        }
        self.inboxes |= others.inboxes;
    }

    /// What writes them, if that is not done elsewhere. Each connection has rows of its own, so that none waits for another.
    pub(crate) fn script(&self, dialect: Dialect) -> Script {
        let mut script = Script::default();
        if dialect != Dialect::MySql {
            return script;
        }
        let count = |status: Status| (status.as_str(), self.statuses[status as usize]);
        let statuses = Status::ALL.map(count).into_iter();
        let statuses: Vec<_> = statuses.filter(|(_, count)| *count != 0).collect();
        if !statuses.is_empty() {
            script.add(count_statuses(&statuses));
        }
        if self.inboxes {
            let text = format!(
                "INSERT INTO inbox_changes (backend, changes) VALUES ({}, 1)
                 ON DUPLICATE KEY UPDATE changes = changes + 1",
                mysql::COUNTER
            );
            script.add(Statement::made(text));
        }
        script
    }
}

fn count_statuses(statuses: &[(&'static str, i64)]) -> Statement {
    let row = |row: usize| {
        let (status, count) = (2 * row + 1, 2 * row + 2);
        format!("(${status}, {}, ${count})", mysql::COUNTER)
    };
    let rows: Vec<_> = (0..statuses.len()).map(row).collect();
    let text = format!(
        "INSERT INTO message_counts (status, backend, count) VALUES {}
         ON DUPLICATE KEY UPDATE count = count + VALUES(count)",
        rows.join(", ")
    );
    let bind = |statement: Statement, (status, count): &(&'static str, i64)| {
        statement.bind(*status).bind(*count)
    };
    let statement = Statement::made(text);
    statuses.iter().fold(statement, bind)
}

#[cfg(test)]
mod tests {
    use herald_test_databases::{DatabaseKind, TestDatabase};
    use rstest::rstest;
    use sqlx::AnyConnection;

    use super::*;
    use crate::bulk;
    use crate::dialect::set_up;
    use crate::location::Location;

    /// The one number that `text` reads.
    async fn number(conn: &mut AnyConnection, text: String) -> i64 {
        let text = bulk::statement(format!("SELECT CAST({text} AS SIGNED)"));
        sqlx::query_scalar(text).fetch_one(conn).await.unwrap()
    }

    #[rstest]
    #[tokio::test]
    async fn no_two_connections_count_in_the_same_rows(
        #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
        #[values(0, 1, 2, 3)] taken: i64,
    ) {
        let Some(database) = TestDatabase::empty(kind).await else {
            return;
        };
        let location = Location::parse(database.url().into()).unwrap();
        let mut other = location.connect_reader().await.unwrap();
        let mut conn = location.connect_reader().await.unwrap();
        let id = number(&mut conn, "CONNECTION_ID()".into()).await;
        for theirs in (id..id + taken).map(|number| number % 256) {
            let lock = format!("GET_LOCK(CONCAT('herald counter {theirs} ', MD5(DATABASE())), 0)");
            assert_eq!(number(&mut other, lock).await, 1);
        }
        set_up(&mut conn, mysql::WRITER).await.unwrap();
        let counter = number(&mut conn, mysql::COUNTER.into()).await;
        assert_eq!(counter, if taken < 3 { (id + taken) % 256 } else { id });
    }

    #[test]
    fn what_operations_count_is_written_once_where_no_trigger_does() {
        let mut counts = Counts::default();
        assert_eq!(counts.script(Dialect::MySql).0.len(), 0);
        counts.moved(None, Some(Status::Queued), 3);
        counts.moved(Some(Status::Queued), Some(Status::Processing), 2);
        let mut others = Counts::default();
        others.moved(Some(Status::Dead), None, 1);
        others.moved(None, Some(Status::Dead), 1);
        others.moved(None, Some(Status::Queued), 1);
        counts.add(&others);
        // In the order of `Status::ALL`.
        assert_eq!(counts.statuses, [2, 2, 0, 0, 0]);
        assert_eq!(counts.script(Dialect::MySql).0.len(), 1);
        others.inboxes_change();
        counts.add(&others);
        assert_eq!(counts.script(Dialect::MySql).0.len(), 2);
        assert_eq!(counts.script(Dialect::Postgres).0.len(), 0);
    }
}
