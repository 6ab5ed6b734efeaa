//! Giving messages that wait another time, when a delay changes.
//!
//! There may be a million of them, and all other writes wait meanwhile, so this is done in steps. Each takes the next few in
//! the order of the index that claims use, which is sorted by the very time that changes. So a message that now waits longer
//! is met again. Its wait is derived from its id, so that it stays where it is the second time.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use rand::{SeedableRng as _, rngs::StdRng};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::user_queues::UserQueueChanges;
use crate::ids::AFTER_ALL;
use crate::reads::delays::stored_delay;
use crate::store::Ping;
use crate::writer::{Operation, Transaction};
use crate::{Delay, MessageId, Store, StoreError, Timestamp, UserId, bulk};

/// Messages looked at in one step.
const STEP: i64 = 256;

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
        let mut after = Some(reach.start());
        while let Some(position) = after {
            let step = RescheduleStep {
                reach: reach.clone(),
                after: position,
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
}

struct RescheduleStep {
    reach: Reach,
    after: QueuePosition,
    /// The same for all steps.
    seed: u64,
    now: Timestamp,
}

struct Done {
    moved: u64,
    /// Where the next step goes on; `None` if nothing is left.
    next: Option<QueuePosition>,
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

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Done, StoreError> {
        let conn = tx.connection();
        let waiting = self.next(conn).await?;
        let mut queues = UserQueueChanges::default();
        let mut moves = Vec::new();
        let ahead = |m: &Waiting| m.created_at > self.now;
        let moved = |m: &&Waiting| (m.fresh || ahead(m)) && self.covers(m);
        for message in waiting.iter().filter(moved) {
            let due = message.created_at.min(self.now) + self.wait_of(message);
            if due != message.due {
                // The turn may come too early now, if the message was the user's first and goes back.
                queues.queued(&message.user, due);
                moves.push((message.id.clone(), due));
            }
        }
        write(conn, &moves).await?;
        queues.write(conn).await?;
        let last = waiting.last().filter(|_| waiting.len() as i64 == STEP);
        Ok(Done {
            moved: moves.len() as u64,
            next: last.map(|last| self.behind(last)),
        })
    }

    fn wakes_worker(&self, done: &Done) -> bool {
        done.moved > 0
    }
}

impl RescheduleStep {
    /// The messages that come next.
    async fn next(&self, conn: &mut AnyConnection) -> Result<Vec<Waiting>, StoreError> {
        sqlx::query(
            "SELECT m.user_id, m.id, m.run_at, m.created_at, m.attempts,
                (SELECT CASE WHEN delay IS NULL THEN 0 ELSE 1 END FROM users WHERE users.id = m.user_id) AS own_delay,
                COALESCE(
                    (SELECT delay FROM users WHERE users.id = m.user_id),
                    (SELECT value FROM settings WHERE name = 'delay')) AS delay
             FROM messages m
             WHERE m.status = 'queued' AND (m.user_id, m.run_at, m.id) > ($1, $2, $3)
                AND m.user_id <= $4
             ORDER BY m.user_id, m.run_at, m.id LIMIT $5",
        )
        .bind(self.after.user.as_str())
        .bind(self.after.due)
        .bind(self.after.id.as_str())
        .bind(self.reach.last_user())
        .bind(STEP)
        .fetch_all(conn)
        .await?
        .iter()
        .map(waiting)
        .collect()
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
        let user = last.user.to_string();
        if self.covers(last) {
            let (due, id) = (last.due.as_millis(), last.id.to_string());
            return QueuePosition { user, due, id };
        }
        // None of this user's is to be moved.
        QueuePosition {
            user,
            due: i64::MAX,
            id: AFTER_ALL.to_owned(),
        }
    }
}

async fn write(
    conn: &mut AnyConnection,
    moves: &[(MessageId, Timestamp)],
) -> Result<(), StoreError> {
    for chunk in bulk::padded(moves) {
        let text = format!(
            "WITH moved (message_id, due) AS (VALUES {})
             UPDATE messages SET run_at = due FROM moved WHERE id = message_id",
            bulk::rows(chunk.len(), 2, 1)
        );
        let mut query = sqlx::query(bulk::statement(text));
        for moved in chunk {
            query = query
                .bind(moved.map(|(id, _)| id.as_str()))
                .bind(moved.map(|(_, due)| due.as_millis()));
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}
