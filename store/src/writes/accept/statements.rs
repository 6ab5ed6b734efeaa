//! What accepting reads and writes.

use std::collections::{BTreeSet, HashMap};

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::decide::{Accept, Decision, Facts, Key, Sender};
use crate::bulk::{self, RowsInsert, TextBytes};
use crate::dialect::Dialect;
use crate::messages::{COLUMNS, message};
use crate::reads::delays::stored_delay;
use crate::statement::{Part, Results, Script, Statement};
use crate::users::parse_username;
use crate::writer::Transaction;
use crate::{Message, StoreError, Timestamp, UserId};

/// Those of a claim come last.
const COLUMNS_WRITTEN: &[&str] = &[
    "id",
    "user_id",
    "body",
    "idempotency_key",
    "created_at",
    "run_at",
    "attempts",
    "lease",
    "lease_until",
];

const INSERT: RowsInsert = RowsInsert {
    table: "messages",
    columns: COLUMNS_WRITTEN.split_at(6).0,
    given: "id",
    fixed: Some(("status", "'queued'")),
};

/// The same for messages that are claimed.
const INSERT_TAKEN: RowsInsert = RowsInsert {
    columns: COLUMNS_WRITTEN,
    fixed: Some(("status", "'processing'")),
    ..INSERT
};

/// Where in the results of a script the facts are.
pub(super) struct Reads {
    senders: Part,
    sent: Part,
}

impl Reads {
    pub(super) fn of(all: &[&Accept], dialect: Dialect) -> (Script, Self) {
        let mut script = Script::default();
        let reads = Self {
            senders: script.add_all(senders(all)),
            sent: script.add_all(sent(all, dialect)),
        };
        (script, reads)
    }

    pub(super) fn facts(&self, results: &Results) -> Result<Facts, StoreError> {
        let senders = results.rows(&self.senders).map(read_sender);
        let sent = results.rows(&self.sent).map(read_sent);
        // All rows say the same.
        let first = results.rows(&self.senders).next();
        let paused = first.map(|row| row.try_get::<i64, _>("paused"));
        Ok(Facts {
            paused: paused.transpose()?.unwrap_or_default() > 0,
            senders: senders.collect::<Result<_, _>>()?,
            sent: sent.collect::<Result<HashMap<_, _>, _>>()?,
        })
    }
}

fn senders(all: &[&Accept]) -> Vec<Statement> {
    let users: BTreeSet<_> = all.iter().map(|accept| accept.user.as_str()).collect();
    let users: Vec<_> = users.into_iter().collect();
    bulk::of_each(
        "SELECT u.id, u.username, COALESCE(l.open, 0) AS open, COALESCE(l.stored_bytes, 0) AS stored_bytes, l.turn_at,
            (SELECT COUNT(*) FROM settings WHERE name = 'paused') AS paused,
            COALESCE(u.delay, (SELECT value FROM settings WHERE name = 'delay')) AS delay
         FROM users u LEFT JOIN user_queues l ON l.user_id = u.id WHERE u.id",
        &users,
    )
}

fn read_sender(row: &AnyRow) -> Result<(UserId, Sender), StoreError> {
    let sender = Sender {
        username: parse_username(row.try_get("username")?)?,
        delay: stored_delay(row.try_get("delay")?)?,
        open: row.try_get("open")?,
        stored: row.try_get("stored_bytes")?,
        turn: row
            .try_get::<Option<i64>, _>("turn_at")?
            .map(Timestamp::from_millis),
    };
    let id: String = row.try_get("id")?;
    Ok((UserId::from_string(id), sender))
}

/// The messages that were sent before with the keys of `all`.
fn sent(all: &[&Accept], dialect: Dialect) -> Vec<Statement> {
    let keys: Vec<Key> = all.iter().filter_map(|accept| accept.key()).collect();
    let read = |rows| {
        Statement::made(format!(
            "WITH sent (user_id, idempotency_key) AS ({})
             SELECT {COLUMNS}, m.idempotency_key
             FROM sent
             JOIN messages m ON m.user_id = sent.user_id AND m.idempotency_key = sent.idempotency_key",
            bulk::values(dialect, rows, 2, 1)
        ))
    };
    bulk::for_each(&keys, read, |statement, sent| {
        statement
            .bind(sent.map(|(user, _)| user.as_str()))
            .bind(sent.map(|(_, key)| key.as_str()))
    })
}

fn read_sent(row: &AnyRow) -> Result<(Key, Message), StoreError> {
    let message = message(row)?;
    let key = row.try_get("idempotency_key")?;
    Ok(((message.user_id.clone(), key), message))
}

impl Decision<'_> {
    pub(super) fn writes(&self, tx: &mut Transaction<'_>) -> Script {
        let mut script = Script::default();
        script.add_all(INSERT.statements(tx.dialect(), &self.new, "", bind));
        script.add_all(INSERT_TAKEN.statements(tx.dialect(), &self.taken, "", bind_taken));
        script.add_all(self.queues.statements(tx));
        script
    }
}

impl TextBytes for (&Accept, Message) {
    fn text_bytes(&self) -> usize {
        self.1.body.len()
    }
}

fn bind(statement: Statement, new: Option<&(&Accept, Message)>) -> Statement {
    let (accept, message) = new.map_or((None, None), |(a, m)| (Some(a), Some(m)));
    statement
        .bind(message.map(|message| message.id.as_str()))
        .bind(message.map(|message| message.user_id.as_str()))
        .bind(message.map(|message| message.body.as_str()))
        .bind(accept.and_then(|accept| accept.idempotency_key.as_deref()))
        .bind(message.map(|message| message.created_at.as_millis()))
        .bind(message.map(|message| message.run_at.as_millis()))
}

fn bind_taken(statement: Statement, new: Option<&(&Accept, Message)>) -> Statement {
    let at_once = new.and_then(|(accept, _)| accept.at_once.as_ref());
    bind(statement, new)
        .bind(new.map(|_| 1_i64))
        .bind(at_once.map(|at_once| &*at_once.lease.0))
        .bind(at_once.map(|at_once| at_once.term.end().as_millis()))
}
