//! Messages whose claim has ended, put back into the queue.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::lease::{IsRunning, LeaseTerm};
use super::user_queues::UserQueueChanges;
use crate::dialect::{Dialect, PRIMARY};
use crate::statement::{Script, Statement};
use crate::writer::{Locks, Operation, Transaction};
use crate::{Lease, MessageId, NodeId, Status, Store, StoreError, Timestamp, UserId, bulk};

/// How many messages are released in one step, or queues given their turn.
pub(super) const STEP: i64 = 256;

/// The next users after `$1` whose queues have a turn.
const WAITING: &str = "SELECT user_id FROM user_queues WHERE user_id > $1 AND turn_at IS NOT NULL ORDER BY user_id LIMIT $2";

impl Store {
    /// Puts all claimed messages back into the queue, and returns how many there were. For the
    /// start of the only process that works on this database: whoever claimed them is gone.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn release_all(&self) -> Result<u64, StoreError> {
        let mut released = 0;
        loop {
            let claimed = claimed(self.readers().dialect());
            let claimed = self.readers().fetch_all(claimed).await?;
            let messages = claimed.iter().map(read_owned);
            let messages = messages.collect::<Result<Vec<_>, StoreError>>()?;
            if messages.is_empty() {
                break;
            }
            let put_back = self.write(TakeBack::all(messages)).await?;
            if put_back == 0 {
                break;
            }
            released += put_back;
        }
        self.reset_turns().await?;
        Ok(released)
    }

    async fn reset_turns(&self) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let waiting = Statement::new(WAITING).bind(after).bind(STEP);
            let waiting = self.readers().fetch_all(waiting).await?;
            let user = |row: &AnyRow| row.try_get::<String, _>("user_id");
            let users = waiting.iter().map(user).collect::<Result<Vec<_>, _>>()?;
            let Some(last) = users.last() else {
                return Ok(());
            };
            after = last.clone();
            let users = users.into_iter().map(UserId::from_string).collect();
            self.write(ResetTurns { users }).await?;
        }
    }
}

/// What reads messages that are claimed, whatever their lease. What is put back is none any more, so that the next step finds
/// others.
fn claimed(dialect: Dialect) -> Statement {
    let (until, index) = (dialect.status_time("lease_until"), dialect.by_status_time());
    let text = format!(
        "SELECT id, user_id FROM messages{index}
         WHERE status = 'processing' AND {until} >= $1 ORDER BY {until} LIMIT $2"
    );
    Statement::made(text).bind(i64::MIN).bind(STEP)
}

/// Reads a message's id, and its owner's.
pub(super) fn read_owned(row: &AnyRow) -> Result<(MessageId, UserId), StoreError> {
    let id = MessageId::from_string(row.try_get::<String, _>("id")?);
    let user = UserId::from_string(row.try_get::<String, _>("user_id")?);
    Ok((id, user))
}

/// Puts messages back into the queue whose claim has ended.
#[derive(Clone)]
pub(super) struct TakeBack {
    /// Each with its owner.
    messages: Vec<(MessageId, UserId)>,
    claims: Claims,
    /// What is being worked on here is given this long instead.
    renewed: Option<(LeaseTerm, IsRunning)>,
    /// Whether those stay as they are whose queues others have locked.
    passes_over: bool,
}

impl TakeBack {
    /// Those of `messages` whose lease has run out at `now`, but for those that are being worked on here.
    pub(super) fn expired(
        messages: Vec<(MessageId, UserId)>,
        now: Timestamp,
        term: LeaseTerm,
        is_running: IsRunning,
    ) -> Self {
        Self {
            messages,
            claims: Claims::EndedBy(now),
            renewed: Some((term, is_running)),
            passes_over: false,
        }
    }

    /// The same, but for those whose queues others have locked.
    pub(super) fn passing_over(self) -> Self {
        let passes_over = true;
        Self {
            passes_over,
            ..self
        }
    }

    /// All of `messages`, whatever their lease.
    fn all(messages: Vec<(MessageId, UserId)>) -> Self {
        Self {
            messages,
            claims: Claims::EndedBy(Timestamp::from_millis(i64::MAX)),
            renewed: None,
            passes_over: false,
        }
    }

    /// Those of `messages` that `node` has claimed, whatever their lease.
    pub(super) fn of_node(messages: Vec<(MessageId, UserId)>, node: &NodeId) -> Self {
        Self {
            messages,
            claims: Claims::Of(Lease::all_of(node)),
            renewed: None,
            passes_over: false,
        }
    }
}

/// Which claims end.
#[derive(Clone)]
enum Claims {
    /// Those whose lease ends by then.
    EndedBy(Timestamp),
    /// Those whose lease is like this.
    Of(String),
}

impl Claims {
    /// As a condition with the parameter `$1`.
    fn condition(&self) -> &'static str {
        match self {
            Self::EndedBy(_) => "lease_until <= $1",
            Self::Of(_) => "lease LIKE $1",
        }
    }

    fn bind(&self, statement: Statement) -> Statement {
        match self {
            Self::EndedBy(time) => statement.bind(time.as_millis()),
            Self::Of(leases) => statement.bind(leases.clone()),
        }
    }
}

/// A message that is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    id: MessageId,
    user: UserId,
    due: Timestamp,
}

/// What becomes of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Decision {
    renewed: Vec<MessageId>,
    requeued: Vec<MessageId>,
    queues: UserQueueChanges,
}

fn decide(mut held: Vec<Held>, is_running: impl Fn(&MessageId) -> bool) -> Decision {
    let mut decision = Decision::default();
    // Those who renew leases lock them in this order, too.
    held.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    for message in held {
        if is_running(&message.id) {
            decision.renewed.push(message.id);
        } else {
            decision.queues.queued(&message.user, message.due);
            decision
                .queues
                .moved(Some(Status::Processing), Some(Status::Queued), 1);
            decision.requeued.push(message.id);
        }
    }
    decision
}

impl Operation for TakeBack {
    /// How many were put back.
    type Output = u64;

    /// What a crash undoes is done again.
    const DURABLE: bool = false;

    fn lock(&self, locks: &mut Locks) {
        if !self.passes_over {
            self.lock_queues(locks);
        }
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<u64, StoreError> {
        let mut locked = Locks::default();
        if self.passes_over {
            self.lock_queues(&mut locked);
            locked = tx.lock_free(&locked).await?;
        }
        let held = self.held(tx, &locked).await?;
        let is_running = |id: &MessageId| {
            self.renewed
                .as_ref()
                .is_some_and(|(_, running)| running(id))
        };
        let decision = decide(held, is_running);
        let mut script = Script::default();
        if let (Some((term, _)), Claims::EndedBy(until)) = (&self.renewed, &self.claims) {
            let end = term.end();
            script.add_all(renew(&decision.renewed, *until, end, tx.dialect()));
        }
        let requeued = script.add_all(requeue(&decision.requeued, &self.claims, tx.dialect()));
        script.add_all(decision.queues.statements(tx));
        tx.run(script)
            .await?
            .changed_all(&requeued, decision.requeued.len())?;
        Ok(decision.requeued.len() as u64)
    }

    fn wakes_worker(&self, requeued: &u64) -> bool {
        *requeued > 0
    }
}

impl TakeBack {
    fn lock_queues(&self, locks: &mut Locks) {
        for (_, user) in &self.messages {
            locks.queue(user);
        }
    }

    /// Those that are claimed, but for those whose queues others have `locked`.
    async fn held(
        &self,
        tx: &mut Transaction<'_>,
        locked: &Locks,
    ) -> Result<Vec<Held>, StoreError> {
        let mut script = Script::default();
        let free = |(_, user): &&(MessageId, UserId)| !locked.has_queue(user);
        let messages: Vec<_> = self.messages.iter().filter(free).collect();
        let held = |rows| {
            let text = format!(
                "SELECT id, user_id, run_at FROM messages
                 WHERE status = 'processing' AND {} AND id IN ({})",
                self.claims.condition(),
                bulk::list(rows, 2)
            );
            self.claims.bind(Statement::made(text))
        };
        let part = script.add_all(bulk::for_each(&messages, held, |statement, one| {
            statement.bind(one.map(|(id, _)| id.as_str()))
        }));
        let read = |row: &AnyRow| {
            Ok(Held {
                id: MessageId::from_string(row.try_get::<String, _>("id")?),
                user: UserId::from_string(row.try_get::<String, _>("user_id")?),
                due: Timestamp::from_millis(row.try_get("run_at")?),
            })
        };
        tx.run(script).await?.rows(&part).map(read).collect()
    }
}

/// Not one whose lease has changed since it was read.
fn renew(
    messages: &[MessageId],
    run_out: Timestamp,
    until: Timestamp,
    dialect: Dialect,
) -> Vec<Statement> {
    let renew = |rows| {
        let text = format!(
            "UPDATE messages{} SET lease_until = $1
             WHERE status = 'processing' AND lease_until <= $2 AND {}",
            dialect.by_index(PRIMARY),
            bulk::ids_in_order(dialect, rows, 3)
        );
        let statement = Statement::made(text).bind(until.as_millis());
        statement.bind(run_out.as_millis())
    };
    bulk::for_each(messages, renew, |statement, id| {
        statement.bind(id.map(MessageId::as_str))
    })
}

/// Not one whose lease was renewed since it was read, which nobody locks a queue for.
fn requeue(messages: &[MessageId], claims: &Claims, dialect: Dialect) -> Vec<Statement> {
    let requeue = |rows| {
        let text = format!(
            "UPDATE messages{} SET status = 'queued', lease = NULL, lease_until = NULL
             WHERE status = 'processing' AND {} AND {}",
            dialect.by_index(PRIMARY),
            claims.condition(),
            bulk::ids_in_order(dialect, rows, 2)
        );
        claims.bind(Statement::made(text))
    };
    bulk::for_each(messages, requeue, |statement, id| {
        statement.bind(id.map(MessageId::as_str))
    })
}

/// A turn is the time of the last claim, if that was later: it counts for nothing at a start, and may be far ahead if the
/// clock was set back.
struct ResetTurns {
    users: Vec<UserId>,
}

impl Operation for ResetTurns {
    type Output = ();

    /// What a crash undoes is done by the next start.
    const DURABLE: bool = false;

    /// What is queued meanwhile would be missed otherwise: a statement that waits for a queue knows messages from before.
    fn lock(&self, locks: &mut Locks) {
        for user in &self.users {
            locks.queue(user);
        }
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let mut script = Script::default();
        let reset = format!(
            "UPDATE user_queues{} SET turn_at = (
                SELECT MIN(m.run_at) FROM messages m
                WHERE m.user_id = user_queues.user_id AND m.status = 'queued')
             WHERE user_id",
            tx.dialect().by_index(PRIMARY)
        );
        script.add_all(bulk::of_each(&reset, &self.users));
        tx.defer(script).await
    }

    fn wakes_worker(&self, (): &()) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worked_on_here_is_renewed_and_the_rest_is_queued_when_it_was_due() {
        let held = |id: &str, due| Held {
            id: MessageId::from_string(id.to_owned()),
            user: UserId::from_string("ann".to_owned()),
            due: Timestamp::from_millis(due),
        };
        let messages = vec![held("a", 7), held("b", 5), held("c", 6)];
        let decision = decide(messages, |id| id.as_str() == "b");
        assert_eq!(decision.renewed, [held("b", 5).id]);
        assert_eq!(decision.requeued, [held("a", 7).id, held("c", 6).id]);
        let mut queues = UserQueueChanges::default();
        queues.queued(&held("c", 6).user, Timestamp::from_millis(6));
        queues.moved(Some(Status::Processing), Some(Status::Queued), 2);
        assert_eq!(decision.queues, queues);
    }
}
