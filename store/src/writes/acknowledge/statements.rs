//! What acknowledging reads and writes.

use std::collections::BTreeSet;

use super::decide::{Acknowledge, Decision, Facts, Move};
use crate::bulk::{self, RowsUpdate};
use crate::dialect::{Dialect, PRIMARY};
use crate::statement::{Part, Results, Script, Statement};
use crate::writes::cursors::rows::{Cursor, InboxRows, cursors, read_cursor};
use crate::{StoreError, Timestamp};

/// Nobody goes back.
const MOVED: RowsUpdate = RowsUpdate {
    table: "inboxes",
    rows: ("moved", &["owner", "up_to"]),
    set: &[("acked_seq", "up_to")],
    matches: "user_id = owner AND acked_seq < up_to",
};

const CLIENTS_MOVED: RowsUpdate = RowsUpdate {
    table: "cursors",
    rows: ("moved", &["owner", "its_client_id", "up_to", "at"]),
    set: &[("seq", "up_to"), ("updated_at", "at")],
    matches: "user_id = owner AND client_id = its_client_id",
};

/// Where in the results of a script the facts are.
pub(super) struct Reads {
    inboxes: InboxRows,
    cursors: Part,
}

impl Reads {
    pub(super) fn of(acknowledge: &Acknowledge, dialect: Dialect) -> (Script, Self) {
        let (users, clients) = (&acknowledge.users, &acknowledge.clients);
        let all = users.iter().map(|(user, _)| user);
        let all: BTreeSet<_> = all
            .chain(clients.iter().map(|client| &client.user))
            .collect();
        let keys = clients.iter().map(|client| (&client.user, &*client.id));
        let mut script = Script::default();
        let reads = Self {
            inboxes: InboxRows::add(&mut script, &all.into_iter().collect::<Vec<_>>()),
            cursors: script.add_all(cursors(&keys.collect::<Vec<_>>(), dialect)),
        };
        (script, reads)
    }

    pub(super) fn facts(&self, results: &Results) -> Result<Facts, StoreError> {
        let cursors = results.rows(&self.cursors).map(|row| {
            let cursor = read_cursor(row)?;
            Ok((cursor.key(), cursor.seq))
        });
        Ok(Facts {
            inboxes: self.inboxes.read(results)?,
            cursors: cursors.collect::<Result<_, StoreError>>()?,
        })
    }
}

impl Decision {
    pub(super) fn writes(&self, now: Timestamp, dialect: Dialect) -> Script {
        let mut script = Script::default();
        script.add_all(delivered(&self.moves, now, dialect));
        script.add_all(moved(&self.moves, dialect));
        script.add_all(clients_moved(&self.cursors, dialect));
        script
    }
}

fn delivered(moves: &[Move], now: Timestamp, dialect: Dialect) -> Vec<Statement> {
    let mark = |moves: Vec<Option<&Move>>| {
        let text = delivered_text(dialect, moves.len());
        let statement = Statement::new(bulk::statement(text));
        let statement = moves.into_iter().fold(statement, |statement, one| {
            statement
                .bind(one.map(|one| one.user.as_str()))
                .bind(one.map(|one| one.from.0))
                .bind(one.map(|one| one.to.0))
        });
        statement.bind(now.as_millis())
    };
    bulk::padded(moves).map(mark).collect()
}

/// Marks the messages of the notifications that each user goes over.
fn delivered_text(dialect: Dialect, rows: usize) -> String {
    let at = 3 * rows + 1;
    match dialect {
        // The CROSS JOIN makes SQLite begin with the few that acknowledged, not with all there are.
        Dialect::Sqlite | Dialect::Postgres => format!(
            "WITH moved (owner, after, up_to) AS ({})
             UPDATE messages SET delivered_at = ${at}
             WHERE id IN (SELECT n.message_id FROM moved CROSS JOIN notifications n
                WHERE n.user_id = owner AND n.seq > after AND n.seq <= up_to) AND delivered_at IS NULL",
            bulk::values(dialect, rows, 3, 1)
        ),
        // Of a range that comes from another table, MariaDB reads the whole inbox.
        Dialect::MySql => {
            let of_one = |row: usize| {
                let (owner, after, up_to) = (3 * row + 1, 3 * row + 2, 3 * row + 3);
                format!(
                    "SELECT message_id FROM notifications
                     WHERE user_id = ${owner} AND seq > ${after} AND seq <= ${up_to}"
                )
            };
            let of_each: Vec<_> = (0..rows).map(of_one).collect();
            format!(
                "UPDATE ({}) AS gone STRAIGHT_JOIN messages{} ON id = gone.message_id
                 SET delivered_at = ${at} WHERE delivered_at IS NULL",
                of_each.join(" UNION ALL "),
                dialect.by_index(PRIMARY)
            )
        }
    }
}

fn moved(moves: &[Move], dialect: Dialect) -> Vec<Statement> {
    let go = |moves: Vec<Option<&Move>>| {
        let statement = Statement::new(bulk::statement(MOVED.text(dialect, moves.len())));
        moves.into_iter().fold(statement, |statement, one| {
            statement
                .bind(one.map(|one| one.user.as_str()))
                .bind(one.map(|one| one.to.0))
        })
    };
    bulk::padded(moves).map(go).collect()
}

fn clients_moved(cursors: &[Cursor], dialect: Dialect) -> Vec<Statement> {
    let go = |cursors: Vec<Option<&Cursor>>| {
        let text = CLIENTS_MOVED.text(dialect, cursors.len());
        let statement = Statement::new(bulk::statement(text));
        cursors.into_iter().fold(statement, |statement, cursor| {
            statement
                .bind(cursor.map(|cursor| cursor.user.as_str()))
                .bind(cursor.map(|cursor| &*cursor.client_id))
                .bind(cursor.map(|cursor| cursor.seq.0))
                .bind(cursor.map(|cursor| cursor.used.as_millis()))
        })
    };
    bulk::padded(cursors).map(go).collect()
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;
    use crate::StoreOptions;
    use crate::location::Location;
    use crate::open::prepare;

    /// However large a table is, a batch reads what it is about.
    #[tokio::test]
    async fn no_statement_reads_a_whole_table() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let location = Location::parse(options.url).unwrap();
        let (mut conn, _) = prepare(&location).await.unwrap();
        for rows in [1, 64] {
            for sql in [
                delivered_text(Dialect::Sqlite, rows),
                MOVED.text(Dialect::Sqlite, rows),
                CLIENTS_MOVED.text(Dialect::Sqlite, rows),
            ] {
                let explain = bulk::statement(format!("EXPLAIN QUERY PLAN {sql}"));
                let plan = sqlx::query(explain).fetch_all(&mut conn).await.unwrap();
                for step in plan {
                    let step: String = step.get("detail");
                    for table in ["inboxes", "i", "messages", "notifications", "n", "cursors"] {
                        let scans = format!("{step} ").contains(&format!("SCAN {table} "));
                        assert!(!scans, "{step}: {sql}");
                    }
                }
            }
        }
    }
}
