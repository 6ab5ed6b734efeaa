//! Giving messages that wait another time, when a delay changes.
//!
//! There may be a million of them, and all other writes wait meanwhile, so this is done in steps. Each takes the next few in
//! the order of the index that claims use, which is sorted by the very time that changes. So a message that now waits longer
//! is met again. Its wait is derived from its id, so that it stays where it is the second time.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use rand::{SeedableRng as _, rngs::StdRng};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::user_queues::UserQueueChanges;
use crate::bulk::RowsUpdate;
use crate::dialect::Dialect;
use crate::ids::AFTER_ALL;
use crate::reads::delays::stored_delay;
use crate::statement::{Script, Statement};
use crate::store::Ping;
use crate::writer::{Locks, Operation, Transaction};
use crate::{Delay, MessageId, Store, StoreError, Timestamp, UserId};

/// Messages looked at in one step.
const STEP: i64 = 256;

/// Not one that was claimed or moved since it was read.
const MOVE: RowsUpdate = RowsUpdate {
    table: "messages",
    rows: ("moved", &["message_id", "was_due", "new_due"]),
    set: &[("run_at", "new_due")],
    matches: "id = message_id AND status = 'queued' AND run_at = was_due",
};

/// Whose messages are moved.
#[derive(Debug, Clone)]
pub(crate) enum Reach {
    /// Those of the users who have no delay of their own.
    Others,
    /// Those of one user.
    User(UserId),
}

/// Where a message is in the queue.
#[derive(Debug, Clone)]
struct QueuePosition {
    user: String,
    due: i64,
    id: String,
}

impl QueuePosition {
    /// Behind the last message of `user`.
    fn behind_all_of(user: &UserId) -> Self {
        Self {
            user: user.to_string(),
            due: i64::MAX,
            id: AFTER_ALL.to_owned(),
        }
    }
}

impl Reach {
    /// Before the first message.
    fn start(&self) -> QueuePosition {
        let user = match self {
            Self::Others => String::new(),
            Self::User(user) => user.to_string(),
        };
        QueuePosition {
            user,
            due: i64::MIN,
            id: String::new(),
        }
    }

    /// The last user whose messages may be looked at.
    fn last_user(&self) -> &str {
        match self {
            Self::Others => AFTER_ALL,
            Self::User(user) => user.as_str(),
        }
    }
}

impl Store {
    /// Moves the messages that wait for their first attempt to where they would be if the delay in force had been so when
    /// they were accepted; those that were accepted while the system's clock was ahead, to where they would be if they were
    /// accepted now. Returns how many there were. Wakes the worker if one was moved.
    pub(crate) async fn reschedule(&self, reach: Reach) -> Result<u64, StoreError> {
        let (seed, now) = (rand::random(), Timestamp::now());
        let mut moved = 0;
        let mut after = reach.start();
        loop {
            let users = self.next_users(&reach, &after).await?;
            let Some(last_user) = users.last().cloned() else {
                break;
            };
            let step = RescheduleStep {
                reach: reach.clone(),
                users,
                last_user,
                after,
                seed,
                now,
            };
            let done = self.write(step).await?;
            moved += done.moved;
            after = done.next;
        }
        // A durable commit makes those before it durable, too.
        self.write(Ping).await?;
        Ok(moved)
    }

    /// Whose messages come next. Read before the step, which locks their queues.
    async fn next_users(
        &self,
        reach: &Reach,
        after: &QueuePosition,
    ) -> Result<BTreeSet<UserId>, StoreError> {
        let next = next_behind(
            "SELECT m.user_id",
            after,
            reach.last_user(),
            self.readers().dialect(),
        );
        let rows = self.readers().fetch_all(next).await?;
        let user = |row: &AnyRow| Ok(UserId::from_string(row.try_get::<String, _>("user_id")?));
        rows.iter().map(user).collect()
    }
}

/// What reads, by `select`, the next messages behind `after`, up to those of `last_user`.
fn next_behind(
    select: &str,
    after: &QueuePosition,
    last_user: &str,
    dialect: Dialect,
) -> Statement {
    let columns = ["m.user_id", "m.run_at", "m.id"];
    let (behind, values) = dialect.compare_rows(&columns, '>', 1);
    let next = values.len() + 1;
    let text = format!(
        "{select} FROM messages m
         WHERE m.status = 'queued' AND {behind} AND m.user_id <= ${next}
         ORDER BY m.user_id, m.run_at, m.id LIMIT ${}",
        next + 1
    );
    let bind = |statement: Statement, column| match column {
        0 => statement.bind(after.user.as_str()),
        1 => statement.bind(after.due),
        _ => statement.bind(after.id.as_str()),
    };
    let statement = Statement::made(text);
    let statement = values.into_iter().fold(statement, bind);
    statement.bind(last_user).bind(STEP)
}

struct RescheduleStep {
    reach: Reach,
    /// Those whose messages are moved. Who has joined them since has the new delay already.
    users: BTreeSet<UserId>,
    /// The last of them.
    last_user: UserId,
    after: QueuePosition,
    /// The same for all steps.
    seed: u64,
    now: Timestamp,
}

struct Done {
    moved: u64,
    /// Where the next step goes on.
    next: QueuePosition,
}

/// A message that waits.
struct Waiting {
    user: UserId,
    id: MessageId,
    due: Timestamp,
    created_at: Timestamp,
    /// Whether no worker has had it. After a failure, the pause between attempts counts, not the delay.
    fresh: bool,
    /// The delay of its user's messages, and whether it is that user's alone.
    delay: Delay,
    own_delay: bool,
}

fn waiting(row: &AnyRow) -> Result<Waiting, StoreError> {
    Ok(Waiting {
        user: UserId::from_string(row.try_get::<String, _>("user_id")?),
        id: MessageId::from_string(row.try_get::<String, _>("id")?),
        due: Timestamp::from_millis(row.try_get("run_at")?),
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        fresh: row.try_get::<i64, _>("attempts")? == 0,
        delay: stored_delay(row.try_get("delay")?)?,
        own_delay: row.try_get::<i64, _>("own_delay")? != 0,
    })
}

impl Operation for RescheduleStep {
    type Output = Done;

    /// What is lost in a power failure is as if the step had not been reached.
    const DURABLE: bool = false;

    fn lock(&self, locks: &mut Locks) {
        for user in &self.users {
            locks.queue(user);
        }
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Done, StoreError> {
        let waiting = self.next(tx).await?;
        let mut queues = UserQueueChanges::default();
        let mut moves = Vec::new();
        let ahead = |m: &Waiting| m.created_at > self.now;
        let moved =
            |m: &&Waiting| (m.fresh || ahead(m)) && self.covers(m) && self.users.contains(&m.user);
        for message in waiting.iter().filter(moved) {
            let due = message.created_at.min(self.now) + self.wait_of(message);
            if due != message.due {
                // The turn may come too early now, if the message was the user's first and goes back.
                queues.queued(&message.user, due);
                moves.push(Move {
                    message: message.id.clone(),
                    from: message.due,
                    to: due,
                });
            }
        }
        let mut script = Script::default();
        let moved = script.add_all(statements(&moves, tx.dialect()));
        script.add_all(queues.statements(tx));
        let moved = tx.run(script).await?.changed(&moved);
        let last = waiting.last().filter(|_| waiting.len() as i64 == STEP);
        let next = last.map_or_else(
            || QueuePosition::behind_all_of(&self.last_user),
            |last| self.behind(last),
        );
        Ok(Done { moved, next })
    }

    fn wakes_worker(&self, done: &Done) -> bool {
        done.moved > 0
    }
}

impl RescheduleStep {
    /// The messages that come next.
    async fn next(&self, tx: &mut Transaction<'_>) -> Result<Vec<Waiting>, StoreError> {
        let mut script = Script::default();
        let select = "SELECT m.user_id, m.id, m.run_at, m.created_at, m.attempts,
            (SELECT CASE WHEN delay IS NULL THEN 0 ELSE 1 END FROM users WHERE users.id = m.user_id) AS own_delay,
            COALESCE(
                (SELECT delay FROM users WHERE users.id = m.user_id),
                (SELECT value FROM settings WHERE name = 'delay')) AS delay";
        let last_user = self.last_user.as_str();
        let next = next_behind(select, &self.after, last_user, tx.dialect());
        let part = script.add(next);
        tx.run(script).await?.rows(&part).map(waiting).collect()
    }

    fn covers(&self, message: &Waiting) -> bool {
        matches!(self.reach, Reach::User(_)) || !message.own_delay
    }

    fn wait_of(&self, message: &Waiting) -> Duration {
        let mut hasher = DefaultHasher::new();
        (self.seed, message.id.as_str()).hash(&mut hasher);
        let mut rng = StdRng::seed_from_u64(hasher.finish());
        Duration::from_millis(message.delay.sample(&mut rng))
    }

    /// Where to go on behind `last`.
    fn behind(&self, last: &Waiting) -> QueuePosition {
        if !self.covers(last) {
            // None of this user's is to be moved.
            return QueuePosition::behind_all_of(&last.user);
        }
        QueuePosition {
            user: last.user.to_string(),
            due: last.due.as_millis(),
            id: last.id.to_string(),
        }
    }
}

/// A message that gets another time.
struct Move {
    message: MessageId,
    from: Timestamp,
    to: Timestamp,
}

fn statements(moves: &[Move], dialect: Dialect) -> Vec<Statement> {
    MOVE.statements(dialect, moves, |statement, moved| {
        statement
            .bind(moved.map(|moved| moved.message.as_str()))
            .bind(moved.map(|moved| moved.from.as_millis()))
            .bind(moved.map(|moved| moved.to.as_millis()))
    })
}

#[cfg(test)]
mod tests {
    use sqlx::Execute as _;

    use super::*;
    use crate::StoreOptions;
    use crate::location::Location;
    use crate::open::prepare;

    #[test]
    fn the_next_messages_are_sought_with_each_parameter_once_and_in_order() {
        let after = Reach::Others.start();
        for (dialect, behind) in [
            (
                Dialect::Postgres,
                "(m.user_id, m.run_at, m.id) > ($1, $2, $3) AND m.user_id <= $4",
            ),
            (
                Dialect::MySql,
                "m.user_id >= $1 AND (m.user_id > $2 OR m.run_at >= $3 AND (m.run_at > $4 OR m.id > $5)) AND m.user_id <= $6",
            ),
        ] {
            let text = next_behind("SELECT m.id", &after, "u", dialect).0.sql();
            assert!(text.as_str().contains(behind), "{}", text.as_str());
        }
    }

    #[tokio::test]
    async fn a_message_that_was_claimed_or_moved_since_it_was_read_stays() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let location = Location::parse(options.url).unwrap();
        let (mut conn, _) = prepare(&location).await.unwrap();
        for sql in [
            "INSERT INTO users (id, username, role, password_hash, created_at) VALUES ('u', 'u', 'user', '', 0)",
            "INSERT INTO messages (id, user_id, body, status, created_at, run_at) VALUES
                ('queued', 'u', '', 'queued', 0, 5), ('moved', 'u', '', 'queued', 0, 6),
                ('claimed', 'u', '', 'processing', 0, 5)",
        ] {
            sqlx::query(sql).execute(&mut conn).await.unwrap();
        }
        let moves = ["queued", "moved", "claimed"].map(|id| Move {
            message: MessageId::from_string(id),
            from: Timestamp::from_millis(5),
            to: Timestamp::from_millis(9),
        });
        let mut moved = 0;
        for statement in statements(&moves, Dialect::Sqlite) {
            moved += statement
                .0
                .execute(&mut conn)
                .await
                .unwrap()
                .rows_affected();
        }
        assert_eq!(moved, 1);
        let due: Vec<(String, i64)> = sqlx::query_as("SELECT id, run_at FROM messages ORDER BY id")
            .fetch_all(&mut conn)
            .await
            .unwrap();
        let due: Vec<_> = due.iter().map(|(id, due)| (&**id, *due)).collect();
        assert_eq!(due, [("claimed", 5), ("moved", 6), ("queued", 9)]);
    }
}
