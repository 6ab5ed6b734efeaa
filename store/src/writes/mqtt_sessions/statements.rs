//! What takeovers read and write.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::decide::{Decision, Facts, Order, PutWill, Row};
use crate::bulk::{self, RowsInsert, RowsUpdate, TextBytes};
use crate::dialect::Dialect;
use crate::mqtt_sessions::{is_live, key};
use crate::statement::{Part, Results, Script, Statement};
use crate::{Departure, MqttSession, ProcessId, SessionKey, StoreError, TakeOver};

const KEY: [&str; 2] = ["user_id", "client_id"];

const PUT: RowsInsert = RowsInsert {
    table: "mqtt_sessions",
    columns: &[
        "user_id",
        "client_id",
        "process",
        "number",
        "first_number",
        "id",
        "token_id",
        "peer",
        "transport",
        "protocol",
        "connected_at",
        "keep_alive_s",
    ],
    given: "number",
    fixed: None,
};

const WILLS: RowsInsert = RowsInsert {
    table: "mqtt_wills",
    columns: &[
        "user_id",
        "client_id",
        "process",
        "number",
        "token_id",
        "peer",
        "delay_ms",
        "will",
    ],
    given: "number",
    fixed: Some((
        "rights",
        "(SELECT value FROM counters WHERE name = 'rights')",
    )),
};

const ORDERS: RowsInsert = RowsInsert {
    table: "mqtt_session_ends",
    columns: &["user_id", "client_id", "process", "number", "reason"],
    given: "number",
    fixed: None,
};

const DISCONNECTED: RowsUpdate = RowsUpdate {
    table: "mqtt_sessions",
    rows: ("gone", &["owner", "its_client_id", "its_process", "up_to"]),
    set: &[("peer", "NULL")],
    matches: "user_id = owner AND client_id = its_client_id AND process = its_process AND number <= up_to",
};

/// Where in the results of a script the facts are.
pub(super) struct Reads {
    sessions: Part,
    awaited: Part,
    own: Part,
}

impl Reads {
    pub(super) fn of(all: &[&TakeOver], own: &ProcessId, dialect: Dialect) -> (Script, Self) {
        let users: BTreeSet<_> = all.iter().map(|take| &take.session.key.user).collect();
        let users: Vec<_> = users.into_iter().collect();
        let sessions = format!(
            "SELECT s.user_id, s.client_id, s.process, s.number, s.first_number, s.peer, {} AS is_live
             FROM mqtt_sessions s WHERE s.user_id",
            is_live(dialect, "s")
        );
        let awaited = format!(
            "SELECT e.user_id, e.client_id, e.process
             FROM mqtt_session_ends e WHERE {} = 1 AND e.user_id",
            is_live(dialect, "e")
        );
        let live = format!(
            "SELECT id FROM nodes WHERE process = $1 AND lease_until > {}",
            dialect.now_millis()
        );
        let mut script = Script::default();
        let reads = Self {
            sessions: script.add_all(bulk::of_each(&sessions, &users)),
            awaited: script.add_all(bulk::of_each(&awaited, &users)),
            own: script.add(Statement::made(live).bind(own.as_str())),
        };
        (script, reads)
    }

    pub(super) fn facts(&self, results: &Results) -> Result<Facts, StoreError> {
        let mut facts = Facts {
            is_cut_off: results.rows(&self.own).next().is_none(),
            ..Facts::default()
        };
        for row in results.rows(&self.sessions) {
            let row = Row {
                key: key(row)?,
                process: ProcessId::from_string(row.try_get::<String, _>("process")?),
                number: row.try_get("number")?,
                first_number: row.try_get("first_number")?,
                is_connected: row.try_get::<Option<String>, _>("peer")?.is_some(),
                is_live: row.try_get::<i64, _>("is_live")? == 1,
            };
            let theirs = facts.sessions.entry(row.key.user.clone()).or_default();
            theirs.push(row);
        }
        for row in results.rows(&self.awaited) {
            let process = ProcessId::from_string(row.try_get::<String, _>("process")?);
            facts.awaited.push((key(row)?, process));
        }
        Ok(facts)
    }
}

impl Decision {
    /// What writes it, for the process `own`.
    pub(super) fn writes(&self, own: &ProcessId, dialect: Dialect) -> Script {
        let mut script = Script::default();
        script.add_all(remove("mqtt_sessions", &self.removed, dialect));
        let again = dialect.on_conflict(&KEY, &PUT.columns[KEY.len()..]);
        script.add_all(
            PUT.statements(dialect, &self.put, &again, |statement, put| {
                let session = put.map(|(session, ..)| session);
                let key = session.map(|session| &session.key);
                statement
                    .bind(key.map(|key| key.user.as_str()))
                    .bind(key.map(|key| &*key.client_id))
                    .bind(put.map(|_| own.as_str()))
                    .bind(put.map(|(_, number, _)| *number))
                    .bind(put.map(|(.., first)| *first))
                    .bind(session.map(|session| &*session.id))
                    .bind(session.and_then(|session| session.token_id.as_deref()))
                    .bind(session.and_then(|session| session.peer.as_deref()))
                    .bind(session.map(|session| &*session.transport))
                    .bind(session.map(|session| &*session.protocol))
                    .bind(session.map(|session| session.connected_at.as_millis()))
                    .bind(session.map(|session| i64::from(session.keep_alive_s)))
            }),
        );
        script.add_all(self.write_wills(own, dialect));
        script.add_all(order(&self.orders, dialect));
        script
    }

    fn write_wills(&self, own: &ProcessId, dialect: Dialect) -> Vec<Statement> {
        let mut columns = WILLS.columns[KEY.len()..].to_vec();
        columns.push("rights");
        let again = format!("{}, gone_at = NULL", dialect.on_conflict(&KEY, &columns));
        let mut all = remove("mqtt_wills", &self.without_will, dialect);
        all.extend(
            WILLS.statements(dialect, &self.wills, &again, |statement, put| {
                let session = put.map(|put| &put.session);
                let key = session.map(|session| &session.key);
                statement
                    .bind(key.map(|key| key.user.as_str()))
                    .bind(key.map(|key| &*key.client_id))
                    .bind(put.map(|_| own.as_str()))
                    .bind(put.map(|put| put.number))
                    .bind(session.and_then(|session| session.token_id.as_deref()))
                    .bind(session.and_then(|session| session.peer.as_deref()))
                    .bind(put.map(|put| millis(put.will.delay)))
                    .bind(put.map(|put| &*put.will.text))
            }),
        );
        all
    }
}

fn millis(delay: Duration) -> i64 {
    i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)
}

/// What has processes end sessions.
pub(super) fn order(orders: &[Order], dialect: Dialect) -> Vec<Statement> {
    let key = ["user_id", "client_id", "process"];
    let again = dialect.on_conflict(&key, &["number", "reason"]);
    ORDERS.statements(dialect, orders, &again, |statement, order| {
        statement
            .bind(order.map(|order| order.key.user.as_str()))
            .bind(order.map(|order| &*order.key.client_id))
            .bind(order.map(|order| order.process.as_str()))
            .bind(order.map(|order| order.number))
            .bind(order.map(|order| order.reason.as_str()))
    })
}

/// What removes these rows of a table that has one for each session, whoever has it.
pub(super) fn remove(table: &'static str, keys: &[SessionKey], dialect: Dialect) -> Vec<Statement> {
    let text = |rows| {
        let delete = dialect.delete_by_key(table);
        let keys = bulk::keys(dialect, rows, 2, 1);
        Statement::made(format!("{delete} WHERE (user_id, client_id) IN ({keys})"))
    };
    bulk::for_each(keys, text, |statement, key| {
        let statement = statement.bind(key.map(|key| key.user.as_str()));
        statement.bind(key.map(|key| &*key.client_id))
    })
}

/// What removes the orders to `own` to end these sessions.
pub(super) fn remove_orders(
    keys: &[SessionKey],
    own: &ProcessId,
    dialect: Dialect,
) -> Vec<Statement> {
    let text = |rows| {
        let delete = dialect.delete_by_key("mqtt_session_ends");
        let keys = bulk::keys(dialect, rows, 3, 1);
        let text = format!("{delete} WHERE (user_id, client_id, process) IN ({keys})");
        Statement::made(text)
    };
    bulk::for_each(keys, text, |statement, key| {
        let statement = statement.bind(key.map(|key| key.user.as_str()));
        let statement = statement.bind(key.map(|key| &*key.client_id));
        statement.bind(key.map(|_| own.as_str()))
    })
}

/// What reads which of a table's rows are of `own` and of these users.
pub(super) fn own_rows(table: &str, all: &[Departure], own: &ProcessId) -> Vec<Statement> {
    let users: BTreeSet<_> = all.iter().map(|one| &one.key.user).collect();
    let text =
        format!("SELECT user_id, client_id, number FROM {table} WHERE process = $1 AND user_id");
    let start = |rows| {
        let list = bulk::list(rows, 2);
        Statement::made(format!("{text} IN ({list})")).bind(own.as_str())
    };
    let users: Vec<_> = users.into_iter().collect();
    bulk::for_each(&users, start, |statement, user| {
        statement.bind(user.map(|user| user.as_str()))
    })
}

/// Those of `all` that are among `rows`, and not of a later takeover.
pub(super) fn found<'a>(
    all: &[Departure],
    rows: impl Iterator<Item = &'a AnyRow>,
) -> Result<Vec<SessionKey>, StoreError> {
    let up_to = all.iter().map(|one| (&one.key, one.number));
    let up_to: HashMap<_, _> = up_to.collect();
    let mut found = vec![];
    for row in rows {
        let (key, number): (_, i64) = (key(row)?, row.try_get("number")?);
        if up_to.get(&key).is_some_and(|up_to| number <= *up_to) {
            found.push(key);
        }
    }
    Ok(found)
}

/// What writes that sessions of `own` have no connection any more.
pub(super) fn disconnect(gone: &[Departure], own: &ProcessId, dialect: Dialect) -> Vec<Statement> {
    DISCONNECTED.statements(dialect, gone, |statement, one| {
        statement
            .bind(one.map(|one| one.key.user.as_str()))
            .bind(one.map(|one| &*one.key.client_id))
            .bind(one.map(|_| own.as_str()))
            .bind(one.map(|one| one.number))
    })
}

impl TextBytes for (MqttSession, i64, i64) {
    fn text_bytes(&self) -> usize {
        self.0.key.client_id.len()
    }
}

impl TextBytes for PutWill {
    fn text_bytes(&self) -> usize {
        self.session.key.client_id.len() + self.will.text.len()
    }
}

impl TextBytes for Order {
    fn text_bytes(&self) -> usize {
        self.key.client_id.len()
    }
}
