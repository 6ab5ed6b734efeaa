//! Putting back into the queue what has died, by filter: a step at a time.

use std::fmt;
use std::str::FromStr;

use herald_acl::Username;
use sqlx::{FromRow as _, Row as _};

use super::user_queues::UserQueueChanges;
use crate::dialect::{Dialect, PRIMARY};
use crate::statement::{Script, Statement};
use crate::users::parse_username;
use crate::writer::{Locks, Operation, Transaction};
use crate::{InvalidPageToken, MessageId, Status, Store, StoreError, Timestamp, UserId, bulk};

/// How many dead messages a step looks at.
const LOOKED_AT: i64 = 2_000;

/// How many of them it puts back: one write of a few milliseconds.
const STEP: usize = 256;

/// Which dead messages are to be put back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Those of this user; of everyone if there is none.
    pub user: Option<UserId>,
    /// Those that died then or later.
    pub from: Option<Timestamp>,
    /// Those that died before.
    pub to: Option<Timestamp>,
}

/// How far a walk through dead messages has come. Messages that die after it began are left out, so that it ends.
/// As text it has no spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadPageToken {
    /// The last one looked at.
    at: i64,
    id: String,
    /// When the walk began.
    began: i64,
}

impl fmt::Display for DeadPageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.began, self.at, self.id)
    }
}

impl FromStr for DeadPageToken {
    type Err = InvalidPageToken;

    fn from_str(text: &str) -> Result<Self, InvalidPageToken> {
        let mut parts = text.splitn(3, '.');
        let mut time = || parts.next()?.parse().ok();
        let (began, at) = (
            time().ok_or(InvalidPageToken)?,
            time().ok_or(InvalidPageToken)?,
        );
        let id = parts
            .next()
            .filter(|id| !id.is_empty())
            .ok_or(InvalidPageToken)?;
        let id = id.to_owned();
        Ok(Self { at, id, began })
    }
}

/// A message that was put back into the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requeued {
    /// Its id.
    pub id: MessageId,
    /// Whose it is.
    pub user_id: UserId,
    /// The name of whose it is.
    pub username: Username,
    /// How often it has been claimed.
    pub attempts: i64,
    /// When it is due.
    pub run_at: Timestamp,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetriedDead {
    /// What was put back.
    pub requeued: Vec<Requeued>,
    /// Where the next step begins; `None` if this was the last.
    pub next: Option<DeadPageToken>,
}

impl Store {
    /// Puts dead messages that match `filter` back into the queue, those first that died first, as [`retry`](Self::retry)
    /// does with one: as many as one step takes, from behind `after`. A step may put back none although others follow. Wakes
    /// the worker.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read or written.
    pub async fn retry_dead(
        &self,
        filter: &DeadFilter,
        after: Option<&DeadPageToken>,
        now: Timestamp,
    ) -> Result<RetriedDead, StoreError> {
        let began = match after {
            Some(token) => token.began,
            None => self
                .last_death()
                .await?
                .unwrap_or_default()
                .max(now.as_millis()),
        };
        let to = filter.to.map_or(i64::MAX, Timestamp::as_millis);
        let from = filter.from.map_or(i64::MIN, Timestamp::as_millis);
        let start = after.map_or((i64::MIN, ""), |token| (token.at, &token.id));
        let start = start.max((from, ""));
        // Also what died in the millisecond in which the walk began.
        let to = to.min(began.saturating_add(1));
        let dead = dead_behind(start, to, self.readers().dialect());
        let rows = self.readers().fetch_all(dead).await?;
        let rows = rows.iter().map(<(String, String, i64)>::from_row);
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let mut messages = Vec::new();
        let mut last = None;
        let mut looked_at = 0;
        for (id, user, at) in &rows {
            if filter.user.as_ref().is_none_or(|u| u.as_str() == user) {
                let id = MessageId::from_string(id.clone());
                messages.push((id, UserId::from_string(user.clone())));
            }
            looked_at += 1;
            last = Some(DeadPageToken {
                at: *at,
                id: id.clone(),
                began,
            });
            if messages.len() == STEP {
                break;
            }
        }
        let more = looked_at < rows.len() || rows.len() as i64 == LOOKED_AT;
        // In the order in which those who acknowledge lock them, too.
        messages.sort_unstable();
        let requeued = match messages.is_empty() {
            true => vec![],
            false => self.write(RetryDead { messages, now }).await?,
        };
        Ok(RetriedDead {
            requeued,
            next: last.filter(|_| more),
        })
    }

    /// When a message last died: later than now, if the clock was set back since.
    async fn last_death(&self) -> Result<Option<i64>, StoreError> {
        let dialect = self.readers().dialect();
        let (at, index) = (
            dialect.status_time("processed_at"),
            dialect.by_status_time(),
        );
        let last = Statement::made(format!(
            "SELECT processed_at FROM messages{index}
             WHERE processed_at IS NOT NULL AND status = 'dead'
             ORDER BY {at} DESC, id DESC LIMIT 1"
        ));
        let last = self.readers().fetch_optional(last).await?;
        Ok(last.map(|row| row.try_get("processed_at")).transpose()?)
    }
}

/// What reads the dead messages behind one, by when it died and its id, that died before `to`.
fn dead_behind((at, id): (i64, &str), to: i64, dialect: Dialect) -> Statement {
    let (died, index) = (
        dialect.status_time("processed_at"),
        dialect.by_status_time(),
    );
    let (behind, values) = dialect.compare_rows(&[died, "id"], '>', 1);
    let next = values.len() + 1;
    let text = format!(
        "SELECT id, user_id, processed_at FROM messages{index}
         WHERE processed_at IS NOT NULL AND status = 'dead'
            AND {behind} AND {died} < ${next}
         ORDER BY {died}, id LIMIT ${}",
        next + 1
    );
    let bind = |statement: Statement, column| match column {
        0 => statement.bind(at),
        _ => statement.bind(id),
    };
    let statement = Statement::made(text);
    let statement = values.into_iter().fold(statement, bind);
    statement.bind(to).bind(LOOKED_AT)
}

struct RetryDead {
    /// Each with its owner.
    messages: Vec<(MessageId, UserId)>,
    now: Timestamp,
}

impl Operation for RetryDead {
    type Output = Vec<Requeued>;

    fn lock(&self, locks: &mut Locks) {
        for (_, user) in &self.messages {
            locks.queue(user);
        }
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Vec<Requeued>, StoreError> {
        let mut script = Script::default();
        let read = |rows| {
            Statement::made(format!(
                "SELECT id, user_id, attempts,
                    (SELECT username FROM users WHERE users.id = messages.user_id) AS username
                 FROM messages WHERE status = 'dead' AND id IN ({})",
                bulk::list(rows, 1)
            ))
        };
        let retry = |rows| {
            let text = format!(
                "UPDATE messages{}
                 SET status = 'queued', run_at = $1, outage = NULL, failures = 0,
                    processed_at = NULL, delivered_at = NULL
                 WHERE status = 'dead' AND {}",
                tx.dialect().by_index(PRIMARY),
                bulk::ids_in_order(tx.dialect(), rows, 2)
            );
            Statement::made(text).bind(self.now.as_millis())
        };
        let bind = |statement: Statement, one: Option<&(MessageId, UserId)>| {
            statement.bind(one.map(|(id, _)| id.as_str()))
        };
        let found = script.add_all(bulk::for_each(&self.messages, read, bind));
        let retried = script.add_all(bulk::for_each(&self.messages, retry, bind));
        let results = tx.run(script).await?;
        let mut requeued = Vec::with_capacity(self.messages.len());
        let mut queues = UserQueueChanges::default();
        for row in results.rows(&found) {
            let user_id = UserId::from_string(row.try_get::<String, _>("user_id")?);
            queues.moved(Some(Status::Dead), Some(Status::Queued), 1);
            queues.open(&user_id, 1);
            queues.queued(&user_id, self.now);
            requeued.push(Requeued {
                id: MessageId::from_string(row.try_get::<String, _>("id")?),
                user_id,
                username: parse_username(row.try_get("username")?)?,
                attempts: row.try_get("attempts")?,
                run_at: self.now,
            });
        }
        results.changed_all(&retried, requeued.len())?;
        queues.write(tx).await?;
        Ok(requeued)
    }

    fn changes(requeued: &Vec<Requeued>) -> bool {
        !requeued.is_empty()
    }

    fn wakes_worker(&self, requeued: &Vec<Requeued>) -> bool {
        !requeued.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Execute as _;

    use super::*;

    #[test]
    fn the_next_dead_messages_are_sought_with_each_parameter_once_and_in_order() {
        for (dialect, behind) in [
            (
                Dialect::Postgres,
                "(processed_at, id) > ($1, $2) AND processed_at < $3",
            ),
            (
                Dialect::MySql,
                "status_at >= $1 AND (status_at > $2 OR id > $3) AND status_at < $4",
            ),
        ] {
            let text = dead_behind((1, "m"), 2, dialect).0.sql();
            assert!(text.as_str().contains(behind), "{}", text.as_str());
        }
    }

    #[test]
    fn a_page_token_is_read_back_from_its_text() {
        let token = DeadPageToken {
            at: -7,
            id: "m.1".into(),
            began: 9,
        };
        assert_eq!(token.to_string().parse(), Ok(token));
        for text in ["", "1", "1.2", "1.2.", "x.2.m", "1.x.m", ".."] {
            assert_eq!(
                text.parse::<DeadPageToken>(),
                Err(InvalidPageToken),
                "{text}"
            );
        }
    }
}
