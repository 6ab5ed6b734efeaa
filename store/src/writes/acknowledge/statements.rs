//! What acknowledging reads and writes.

use std::collections::BTreeSet;

use sqlx::Row as _;

use super::decide::{Acknowledge, Decision, Facts, Move};
use crate::bulk::{self, RowsUpdate};
use crate::dialect::{Dialect, PRIMARY};
use crate::statement::{Part, Results, Script, Statement};
use crate::writer::Transaction;
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
    /// What writes it; `delivered` are the messages that [`delivered_messages`] has read.
    pub(super) fn writes(&self, delivered: &[String], now: Timestamp, dialect: Dialect) -> Script {
        let mut script = Script::default();
        script.add_all(match dialect {
            Dialect::Sqlite => mark_all(&self.moves, now),
            Dialect::Postgres | Dialect::MySql => mark_each(delivered, now, dialect),
        });
        script.add_all(moved(&self.moves, dialect));
        script.add_all(clients_moved(&self.cursors, dialect));
        script
    }
}

/// Marks the messages of the notifications that each user goes over, where there is one writer.
fn mark_all(moves: &[Move], now: Timestamp) -> Vec<Statement> {
    let mark = |rows| Statement::made(mark_all_text(rows));
    let marks = bulk::for_each(moves, mark, bind_move).into_iter();
    marks.map(|mark| mark.bind(now.as_millis())).collect()
}

fn bind_move(statement: Statement, one: Option<&Move>) -> Statement {
    statement
        .bind(one.map(|one| one.user.as_str()))
        .bind(one.map(|one| one.from.0))
        .bind(one.map(|one| one.to.0))
}

/// The CROSS JOIN makes SQLite begin with the few that acknowledged, not with all there are.
fn mark_all_text(rows: usize) -> String {
    format!(
        "WITH moved (owner, after, up_to) AS ({})
         UPDATE messages SET delivered_at = ${}
         WHERE id IN (SELECT n.message_id FROM moved CROSS JOIN notifications n
            WHERE n.user_id = owner AND n.seq > after AND n.seq <= up_to) AND delivered_at IS NULL",
        bulk::values(Dialect::Sqlite, rows, 3, 1),
        3 * rows + 1
    )
}

/// The messages of the notifications that each user goes over, for [`mark_each`]: sorted, as all lock them in this order. And an
/// UPDATE on MySQL locks also what it only reads, and others delete notifications.
pub(super) async fn delivered_messages(
    tx: &mut Transaction<'_>,
    moves: &[Move],
) -> Result<Vec<String>, StoreError> {
    let mut script = Script::default();
    let read = |rows| {
        // Of a range that comes from another table, MariaDB reads the whole inbox.
        let of_one = |row: usize| {
            let (owner, after, up_to) = (3 * row + 1, 3 * row + 2, 3 * row + 3);
            format!(
                "SELECT message_id FROM notifications
                 WHERE user_id = ${owner} AND seq > ${after} AND seq <= ${up_to}"
            )
        };
        let of_each: Vec<_> = (0..rows).map(of_one).collect();
        Statement::made(of_each.join(" UNION ALL "))
    };
    let part = script.add_all(bulk::for_each(moves, read, bind_move));
    let results = tx.run(script).await?;
    let ids = results.rows(&part).map(|row| row.try_get("message_id"));
    let mut ids = ids.collect::<Result<Vec<String>, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Marks these messages.
fn mark_each(ids: &[String], now: Timestamp, dialect: Dialect) -> Vec<Statement> {
    let mark = |rows| {
        let text = format!(
            "UPDATE messages{} SET delivered_at = $1 WHERE delivered_at IS NULL AND {}",
            dialect.by_index(PRIMARY),
            bulk::ids_in_order(dialect, rows, 2)
        );
        Statement::made(text).bind(now.as_millis())
    };
    bulk::for_each(ids, mark, |statement, id| {
        statement.bind(id.map(String::as_str))
    })
}

fn moved(moves: &[Move], dialect: Dialect) -> Vec<Statement> {
    MOVED.statements(dialect, moves, |statement, one| {
        statement
            .bind(one.map(|one| one.user.as_str()))
            .bind(one.map(|one| one.to.0))
    })
}

fn clients_moved(cursors: &[Cursor], dialect: Dialect) -> Vec<Statement> {
    CLIENTS_MOVED.statements(dialect, cursors, |statement, cursor| {
        statement
            .bind(cursor.map(|cursor| cursor.user.as_str()))
            .bind(cursor.map(|cursor| &*cursor.client_id))
            .bind(cursor.map(|cursor| cursor.seq.0))
            .bind(cursor.map(|cursor| cursor.used.as_millis()))
    })
}

#[cfg(test)]
mod tests {
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
                mark_all_text(rows),
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
