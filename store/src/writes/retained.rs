//! Retained messages, kept through a restart.

use std::time::Duration;

use bytes::Bytes;
use sqlx::Row as _;

use crate::dialect::Dialect;
use crate::reads::retained::LAST;
use crate::statement::{Script, Statement};
use crate::writer::{Locks, Operation, Transaction};
use crate::{NodeId, RetainedMessage, Store, StoreError, Timestamp, bulk};

/// How long it is known that a topic has no message any more, and of how many changes at most: who has missed more reads all anew.
const CLEARED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
const CLEARED_KEPT: i64 = 100_000;

/// How much later what has expired is deleted: every server that shares the database has seen it by then.
const GRACE_MS: i64 = 10_000;

/// One change of what is retained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetainedChange {
    /// The message of its topic from now on.
    Set(RetainedMessage),
    /// The topic has none any more.
    Clear {
        /// Which.
        topic: String,
    },
}

impl Store {
    /// Forgets what has expired by `now`; of servers that share the database, a little later, so that they have learnt of it.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be written.
    pub async fn forget_expired_retained(&self, now: Timestamp) -> Result<(), StoreError> {
        let grace = match self.is_exclusive() {
            true => 0,
            false => GRACE_MS,
        };
        let until = Timestamp::from_millis(now.as_millis().saturating_sub(grace));
        self.write(ForgetExpired { until }).await
    }

    /// Makes the changes in their order, all or none. Waits a limited time for room in the queue
    /// of the writer.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if they cannot be written.
    pub async fn save_retained(&self, changes: Vec<RetainedChange>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let node = self.node();
        let now = Timestamp::now();
        match self.write(Save { changes, node, now }).await? {
            true => Ok(()),
            false => Err(StoreError::Unreachable {
                reason: "the lease of this server has ended".into(),
            }),
        }
    }
}

struct ForgetExpired {
    until: Timestamp,
}

impl Operation for ForgetExpired {
    type Output = ();

    fn lock(&self, locks: &mut Locks) {
        locks.retained();
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let dialect = tx.dialect();
        let mut script = Script::default();
        let expired =
            "SELECT COALESCE(MAX(revision), 0) AS last FROM retained WHERE expires_at <= $1";
        let expired = script.add(Statement::new(expired).bind(self.until.as_millis()));
        let counter = script.add(Statement::new(LAST));
        let results = tx.run(script).await?;
        let number = |part, column| -> Result<i64, StoreError> {
            let row = results.rows(part).next().ok_or(sqlx::Error::RowNotFound)?;
            Ok(row.try_get(column)?)
        };
        let (expired, many) = (
            number(&expired, "last")?,
            number(&counter, "value")?.saturating_sub(CLEARED_KEPT),
        );
        let mut script = Script::default();
        let delete = dialect.delete_by_index("retained", "retained_by_expiry");
        let forget = bulk::statement(format!("{delete} WHERE expires_at <= $1"));
        script.add(Statement::new(forget).bind(self.until.as_millis()));
        let delete = dialect.delete_by_index("retained", "retained_by_revision");
        let forget = bulk::statement(format!(
            "{delete} WHERE revision <= $1 AND length(payload) = 0"
        ));
        let too_many = script.add(Statement::new(forget).bind(many));
        let results = tx.run(script).await?;
        let forgotten = match results.changed(&too_many) {
            0 => expired,
            _ => expired.max(many),
        };
        let note =
            "UPDATE counters SET value = $1 WHERE name = 'retained_forgotten' AND value < $2";
        tx.execute(Statement::new(note).bind(forgotten).bind(forgotten))
            .await?;
        Ok(())
    }
}

struct Save {
    changes: Vec<RetainedChange>,
    /// Who saves; `None` if nobody shares the database.
    node: Option<NodeId>,
    now: Timestamp,
}

impl Operation for Save {
    /// Whether it was done: not by a server that others may hold to be gone.
    type Output = bool;

    fn lock(&self, locks: &mut Locks) {
        locks.retained();
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let dialect = tx.dialect();
        let count = self.changes.len() as i64;
        let mut script = Script::default();
        let number = "UPDATE counters SET value = value + $1 WHERE name = 'retained'";
        script.add(Statement::new(number).bind(count));
        let stands = self.node.as_ref().map(|node| {
            let now = dialect.now_millis();
            let text = format!("SELECT id FROM nodes WHERE id = $1 AND lease_until > {now}");
            script.add(Statement::made(text).bind(node.as_str()))
        });
        let results = tx.run(script).await?;
        // Others may have forgotten a user whose message this is.
        if stands.is_some_and(|stands| results.rows(&stands).next().is_none()) {
            return Ok(false);
        }
        let numbered = self.changes.iter().zip(1 - count..);
        let change = |(change, behind): (&RetainedChange, i64)| match change {
            RetainedChange::Set(message) => set(message, behind, dialect),
            RetainedChange::Clear { topic } => match dialect {
                Dialect::Sqlite => clear(topic),
                Dialect::Postgres | Dialect::MySql => {
                    let cleared = RetainedMessage {
                        topic: topic.clone(),
                        payload: Bytes::new(),
                        attributes: String::new(),
                        expires_at: Some(self.now + CLEARED_FOR),
                    };
                    set(&cleared, behind, dialect)
                }
            },
        };
        let mut script = Script::default();
        script.add_all(numbered.map(change));
        tx.defer(script).await?;
        Ok(true)
    }
}

/// Sets what is retained, by the change that comes so many (less than 1) behind the last one that is counted.
fn set(message: &RetainedMessage, behind: i64, dialect: Dialect) -> Statement {
    // A topic may be longer than a key of PostgreSQL.
    let key = match dialect {
        Dialect::Postgres => "topic_hash",
        Dialect::Sqlite | Dialect::MySql => "topic",
    };
    let again = dialect.on_conflict(&[key], &["payload", "attributes", "expires_at", "revision"]);
    let text = format!(
        "INSERT INTO retained (topic, payload, attributes, expires_at, revision)
         VALUES ($1, $2, $3, $4, (SELECT value FROM counters WHERE name = 'retained') + $5) {again}"
    );
    Statement::made(text)
        .bind(message.topic.clone())
        .bind(message.payload.to_vec())
        .bind(message.attributes.clone())
        .bind(message.expires_at.map(Timestamp::as_millis))
        .bind(behind)
}

/// Of a file, which nobody shares.
fn clear(topic: &str) -> Statement {
    Statement::new("DELETE FROM retained WHERE topic = $1").bind(topic.to_owned())
}
