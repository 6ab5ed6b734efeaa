//! What a claim reads and writes.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::decide::{Decision, Queued};
use crate::bulk::{self, RowsUpdate};
use crate::counts::Counts;
use crate::dialect::{Dialect, PRIMARY};
use crate::statement::{Part, Results, Script, Statement};
use crate::users::parse_username;
use crate::writer::Transaction;
use crate::{Job, Lease, MessageId, Status, StoreError, Timestamp, UserId};

/// How many leases that have run out are looked at.
const EXPIRED: i64 = 256;

/// What a job is made of.
const JOB: &str = "id, user_id, body, attempts, failures, created_at, run_at,
    (SELECT username FROM users WHERE users.id = messages.user_id) AS username";

const TURNS: RowsUpdate = RowsUpdate {
    table: "user_queues",
    rows: ("turns", &["owner", "next_turn"]),
    set: &[("turn_at", "next_turn")],
    matches: "user_id = owner",
};

/// What a claim finds.
pub(super) struct Found {
    /// Whose turn has come. What [`lock`] leaves of them is locked; those that others have locked are passed over.
    pub(super) users: Vec<UserId>,
    /// Messages whose lease has run out, each with its owner.
    pub(super) expired: Vec<(MessageId, UserId)>,
}

/// What reads it, at once: on a file it costs more to hand over a statement than to run it. Of those whose turn has come, those
/// are first who have waited longest; while the queue is paused, nobody's turn comes.
pub(super) fn find(users: u32, now: Timestamp, dialect: Dialect) -> Statement {
    let (until, index) = (dialect.status_time("lease_until"), dialect.by_status_time());
    let lock = match dialect {
        Dialect::Sqlite | Dialect::MySql => "",
        Dialect::Postgres => "FOR UPDATE SKIP LOCKED",
    };
    let text = format!(
        "SELECT user_id, NULL AS id FROM (
            SELECT user_id FROM user_queues
            WHERE turn_at <= $1 AND NOT EXISTS (SELECT 1 FROM settings WHERE name = 'paused')
            ORDER BY turn_at, user_id LIMIT $2 {lock}) AS waiting
         UNION ALL SELECT user_id, id FROM (
            SELECT user_id, id FROM messages{index}
            WHERE status = 'processing' AND {until} <= $3 ORDER BY {until} LIMIT $4) AS expired"
    );
    Statement::made(text)
        .bind(now.as_millis())
        .bind(i64::from(users))
        .bind(now.as_millis())
        .bind(EXPIRED)
}

impl Found {
    pub(super) fn read<'r>(rows: impl Iterator<Item = &'r AnyRow>) -> Result<Self, StoreError> {
        let (mut users, mut expired) = (vec![], vec![]);
        for row in rows {
            let user = read_user(row)?;
            match row.try_get::<Option<String>, _>("id")? {
                None => users.push(user),
                Some(id) => expired.push((MessageId::from_string(id), user)),
            }
        }
        Ok(Self { users, expired })
    }
}

/// Locks the queues of those whose turn has come, if that was not done as they were found: MySQL would lock entries of the index
/// first and then the rows, and others do it the other way round.
pub(super) async fn lock(
    tx: &mut Transaction<'_>,
    users: Vec<UserId>,
    now: Timestamp,
) -> Result<Vec<UserId>, StoreError> {
    if tx.dialect() != Dialect::MySql {
        return Ok(users);
    }
    let mut script = Script::default();
    let lock = |rows| {
        let text = format!(
            "SELECT user_id FROM user_queues FORCE INDEX (PRIMARY)
             WHERE turn_at <= $1 AND user_id IN ({}) ORDER BY user_id FOR UPDATE SKIP LOCKED",
            bulk::list(rows, 2)
        );
        Statement::made(text).bind(now.as_millis())
    };
    let part = script.add_all(bulk::for_each(&users, lock, |statement, user| {
        statement.bind(user.map(UserId::as_str))
    }));
    let results = tx.run(script).await?;
    results.rows(&part).map(read_user).collect()
}

fn read_user(row: &AnyRow) -> Result<UserId, StoreError> {
    Ok(UserId::from_string(row.try_get::<String, _>("user_id")?))
}

fn read_id(row: &AnyRow) -> Result<MessageId, StoreError> {
    Ok(MessageId::from_string(row.try_get::<String, _>("id")?))
}

/// The first messages of each user, one more than `each`.
pub(super) async fn next_of_each(
    tx: &mut Transaction<'_>,
    users: &[UserId],
    each: usize,
) -> Result<Vec<Queued>, StoreError> {
    let mut script = Script::default();
    let next = |rows| {
        let of_one = |number: usize| {
            format!(
                "SELECT user_id, run_at, id FROM (
                    SELECT user_id, run_at, id FROM messages
                    WHERE user_id = ${} AND status = 'queued'
                    ORDER BY run_at, id LIMIT ${}) AS of_{number}",
                2 * number + 1,
                2 * number + 2
            )
        };
        let of_each: Vec<_> = (0..rows).map(of_one).collect();
        Statement::made(of_each.join(" UNION ALL "))
    };
    let part = script.add_all(bulk::for_each(users, next, |statement, user| {
        let user = user.map(UserId::as_str);
        statement.bind(user).bind(each as i64 + 1)
    }));
    let results = tx.run(script).await?;
    let read = |row: &AnyRow| {
        Ok(Queued {
            user: read_user(row)?,
            due: Timestamp::from_millis(row.try_get("run_at")?),
            id: read_id(row)?,
        })
    };
    results.rows(&part).map(read).collect()
}

/// What takes the messages, and where in its results they are.
pub(super) fn writes(
    decision: &Decision,
    lease: &Lease,
    until: Timestamp,
    tx: &mut Transaction<'_>,
) -> (Script, Part) {
    let (mut script, dialect) = (Script::default(), tx.dialect());
    let taken = script.add_all(take(decision, lease, until, dialect));
    let mut counts = Counts::default();
    let many = decision.messages.len() as i64;
    counts.moved(Some(Status::Queued), Some(Status::Processing), many);
    tx.count(&counts);
    let turns: Vec<_> = decision.turns.iter().collect();
    script.add_all(TURNS.statements(dialect, &turns, |statement, turn| {
        statement
            .bind(turn.map(|(user, _)| user.as_str()))
            .bind(turn.and_then(|(_, turn)| turn.map(Timestamp::as_millis)))
    }));
    let claimed = match returning(dialect) {
        Some(_) => taken,
        None => script.add_all(of_lease(decision, lease)),
    };
    (script, claimed)
}

/// What ends an UPDATE that returns what it changed, where there is such a thing.
fn returning(dialect: Dialect) -> Option<String> {
    match dialect {
        Dialect::Sqlite | Dialect::Postgres => Some(format!(" RETURNING {JOB}")),
        Dialect::MySql => None,
    }
}

fn take(decision: &Decision, lease: &Lease, until: Timestamp, dialect: Dialect) -> Vec<Statement> {
    let take = |rows| {
        let text = format!(
            "UPDATE messages{}
             SET status = 'processing', attempts = attempts + 1, lease = $1, lease_until = $2
             WHERE id IN ({}) AND status = 'queued'{}",
            dialect.by_index(PRIMARY),
            bulk::list(rows, 3),
            returning(dialect).unwrap_or_default()
        );
        let statement = Statement::made(text).bind(&*lease.0);
        statement.bind(until.as_millis())
    };
    bulk::for_each(&decision.messages, take, |statement, id| {
        statement.bind(id.map(MessageId::as_str))
    })
}

/// What reads those that were taken.
fn of_lease(decision: &Decision, lease: &Lease) -> Vec<Statement> {
    let read = |rows| {
        let ids = bulk::list(rows, 2);
        let text = format!("SELECT {JOB} FROM messages WHERE lease = $1 AND id IN ({ids})");
        Statement::made(text).bind(&*lease.0)
    };
    bulk::for_each(&decision.messages, read, |statement, id| {
        statement.bind(id.map(MessageId::as_str))
    })
}

/// The jobs that were taken.
pub(super) fn claimed(
    results: &Results,
    part: &Part,
    lease: &Lease,
) -> Result<Vec<Job>, StoreError> {
    let read = |row: &AnyRow| {
        Ok(Job {
            id: read_id(row)?,
            user_id: read_user(row)?,
            username: parse_username(row.try_get("username")?)?,
            body: row.try_get("body")?,
            attempt: row.try_get("attempts")?,
            failures: row.try_get("failures")?,
            created_at: Timestamp::from_millis(row.try_get("created_at")?),
            due: Timestamp::from_millis(row.try_get("run_at")?),
            lease: lease.clone(),
        })
    };
    results.rows(part).map(read).collect()
}
