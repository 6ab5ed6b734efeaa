//! What finishing reads and writes.

use std::collections::BTreeSet;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::decide::{Decision, Facts, Finish};
use crate::bulk::{self, RowsInsert, RowsUpdate, TextBytes};
use crate::dialect::{Dialect, PRIMARY};
use crate::statement::{Part, Results, Script, Statement};
use crate::writer::Transaction;
use crate::writes::failed_attempts::insert_failures;
use crate::{MessageId, Seq, StoreError, UserId};

/// Not one that is not the claimant's any more.
pub(super) const END: RowsUpdate = RowsUpdate {
    table: "messages",
    rows: (
        "done",
        &[
            "message_id",
            "its_lease",
            "its_status",
            "its_result",
            "done_at",
        ],
    ),
    set: &[
        ("status", "its_status"),
        ("result", "its_result"),
        ("processed_at", "done_at"),
        ("lease", "NULL"),
        ("lease_until", "NULL"),
    ],
    matches: "id = message_id AND status = 'processing' AND lease = its_lease",
};

/// The same without the result, for MySQL.
const END_WITHOUT_RESULT: RowsUpdate = RowsUpdate {
    rows: (
        "done",
        &["message_id", "its_lease", "its_status", "done_at"],
    ),
    set: &[
        ("status", "its_status"),
        ("processed_at", "done_at"),
        ("lease", "NULL"),
        ("lease_until", "NULL"),
    ],
    ..END
};

const NOTIFY: RowsInsert = RowsInsert {
    table: "notifications",
    columns: &[
        "user_id",
        "seq",
        "message_id",
        "status",
        "attempts",
        "created_at",
    ],
    given: "seq",
    fixed: None,
};

const TAKE_NUMBERS: RowsUpdate = RowsUpdate {
    table: "inboxes",
    rows: ("taken", &["owner", "newest"]),
    set: &[("last_seq", "newest")],
    matches: "user_id = owner",
};

/// Where in the results of a script the facts are.
pub(super) struct Reads {
    leases: Part,
    last: Part,
}

impl Reads {
    pub(super) fn of(all: &[&Finish]) -> (Script, Self) {
        let mut script = Script::default();
        let reads = Self {
            leases: script.add_all(leases(all)),
            last: script.add_all(last(all)),
        };
        (script, reads)
    }

    pub(super) fn facts(&self, results: &Results) -> Result<Facts, StoreError> {
        let leases = results.rows(&self.leases).map(read_lease);
        let last = results.rows(&self.last).map(read_last);
        Ok(Facts {
            leases: leases.collect::<Result<_, _>>()?,
            last: last.collect::<Result<_, _>>()?,
        })
    }
}

fn leases(all: &[&Finish]) -> Vec<Statement> {
    let ids: Vec<_> = all.iter().map(|finish| &finish.job.id).collect();
    bulk::of_each(
        "SELECT id, lease FROM messages WHERE status = 'processing' AND id",
        &ids,
    )
}

fn read_lease(row: &AnyRow) -> Result<(MessageId, String), StoreError> {
    let id: String = row.try_get("id")?;
    Ok((MessageId::from_string(id), row.try_get("lease")?))
}

fn last(all: &[&Finish]) -> Vec<Statement> {
    let users: BTreeSet<_> = all.iter().map(|finish| &finish.job.user_id).collect();
    let users: Vec<_> = users.into_iter().collect();
    bulk::of_each(
        "SELECT user_id, last_seq FROM inboxes WHERE user_id",
        &users,
    )
}

pub(super) fn read_last(row: &AnyRow) -> Result<(UserId, i64), StoreError> {
    let user: String = row.try_get("user_id")?;
    Ok((UserId::from_string(user), row.try_get("last_seq")?))
}

/// Where in the results of a script it is seen what it changed.
pub(super) struct Changes {
    ended: Part,
    numbers: Part,
}

impl Changes {
    /// Adds what ends the messages and takes their numbers.
    pub(super) fn of(decision: &Decision<'_>, script: &mut Script, dialect: Dialect) -> Self {
        // Renewals lock messages in the order of their ids, too, and no queues.
        let mut sorted = decision.ended.clone();
        sorted.sort_unstable_by_key(|(finish, _)| &finish.job.id);
        let ended = script.add_all(end(&sorted, dialect));
        if dialect == Dialect::MySql {
            script.add_all(results(&sorted));
        }
        let last: Vec<_> = decision.last.iter().collect();
        let numbers = script.add_all(take_numbers(&last, dialect));
        Self { ended, numbers }
    }

    /// Whoever is notified of an end, it took place.
    pub(super) fn check(
        &self,
        decision: &Decision<'_>,
        results: &Results,
    ) -> Result<(), StoreError> {
        results.changed_all(&self.ended, decision.ended.len())?;
        results.changed_all(&self.numbers, decision.last.len())
    }
}

impl Decision<'_> {
    /// What writes the rest.
    pub(super) fn inserts(&self, tx: &mut Transaction<'_>) -> Vec<Statement> {
        let dialect = tx.dialect();
        let mut statements = notify(&self.ended, dialect);
        let failures = self.ended.iter().filter_map(|(finish, _)| {
            let error = finish.outcome.error()?;
            Some((&finish.job, error, finish.now))
        });
        statements.extend(insert_failures(&failures.collect::<Vec<_>>(), dialect));
        statements.extend(self.queues.statements(tx));
        statements
    }
}

/// A notification has none.
impl TextBytes for (&Finish, Seq) {
    fn text_bytes(&self) -> usize {
        0
    }
}

/// Binds the parameters of [`END`], or those of [`END_WITHOUT_RESULT`].
pub(super) fn bind_end(
    statement: Statement,
    finish: Option<&Finish>,
    with_result: bool,
) -> Statement {
    let statement = statement
        .bind(finish.map(|finish| finish.job.id.as_str()))
        .bind(finish.map(|finish| &*finish.job.lease.0))
        .bind(finish.map(|finish| finish.outcome.status().as_str()));
    let statement = match with_result {
        true => statement.bind(finish.and_then(|finish| finish.stored_result())),
        false => statement,
    };
    statement.bind(finish.map(|finish| finish.now.as_millis()))
}

fn end(ended: &[(&Finish, Seq)], dialect: Dialect) -> Vec<Statement> {
    let with_result = dialect != Dialect::MySql;
    let update = if with_result { END } else { END_WITHOUT_RESULT };
    update.statements(dialect, ended, |statement, one| {
        bind_end(statement, one.map(|(finish, _)| *finish), with_result)
    })
}

/// A result, and of which message.
struct StoredResult<'a>(&'a MessageId, &'a str);

impl TextBytes for StoredResult<'_> {
    fn text_bytes(&self) -> usize {
        self.1.len()
    }
}

/// What writes the results on MySQL, where none can be in a row of parameters: see [`RowsUpdate`].
fn results(ended: &[(&Finish, Seq)]) -> Vec<Statement> {
    let results = ended.iter().filter_map(|(finish, _)| {
        let result = finish.stored_result()?;
        Some(StoredResult(&finish.job.id, result))
    });
    let results: Vec<_> = results.collect();
    let write = |results: &[StoredResult<'_>]| {
        let case = |row: usize| format!("WHEN ${} THEN ${}", 2 * row + 1, 2 * row + 2);
        let cases: Vec<_> = (0..results.len()).map(case).collect();
        let text = format!(
            "UPDATE messages{} SET result = CASE id {} END WHERE id IN ({})",
            Dialect::MySql.by_index(PRIMARY),
            cases.join(" "),
            bulk::list(results.len(), 2 * results.len() + 1)
        );
        let statement = Statement::made(text);
        let bind = |statement: Statement, one: &StoredResult<'_>| {
            statement.bind(one.0.as_str()).bind(one.1)
        };
        let statement = results.iter().fold(statement, bind);
        statement.bind_all(results.iter().map(|one| one.0.as_str()))
    };
    let pieces = bulk::cut(Dialect::MySql, &results).flat_map(bulk::chunks);
    pieces.map(write).collect()
}

fn take_numbers(last: &[(&UserId, &i64)], dialect: Dialect) -> Vec<Statement> {
    TAKE_NUMBERS.statements(dialect, last, |statement, one| {
        statement
            .bind(one.map(|(user, _)| user.as_str()))
            .bind(one.map(|(_, last)| **last))
    })
}

fn notify(ended: &[(&Finish, Seq)], dialect: Dialect) -> Vec<Statement> {
    NOTIFY.statements(dialect, ended, "", |statement, one| {
        let finish = one.map(|(finish, _)| finish);
        statement
            .bind(finish.map(|finish| finish.job.user_id.as_str()))
            .bind(one.map(|(_, seq)| seq.0))
            .bind(finish.map(|finish| finish.job.id.as_str()))
            .bind(finish.map(|finish| finish.outcome.status().as_str()))
            .bind(finish.map(|finish| finish.job.attempt))
            .bind(finish.map(|finish| finish.now.as_millis()))
    })
}
