//! Retained messages, kept through a restart.

use std::collections::BTreeMap;

use bytes::Bytes;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::dialect::Dialect;
use crate::statement::{Script, Statement};
use crate::writer::{Operation, Transaction};
use crate::{Store, StoreError, Timestamp, bulk};

/// How many messages are read at once: each may be as long as a packet.
const PAGE: i64 = 32;

/// The last message of a topic that was published with the retain flag (MQTT 5 section 3.3.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainedMessage {
    /// The topic.
    pub topic: String,
    /// What was published. A clone shares it.
    pub payload: Bytes,
    /// Whatever the broker wants to know of it besides.
    pub attributes: String,
    /// When it is to be forgotten; `None`: when it is replaced.
    pub expires_at: Option<Timestamp>,
}

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
    /// All retained messages, by topic. Those that have expired by `now` are forgotten first.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read or written.
    pub async fn retained(&self, now: Timestamp) -> Result<Vec<RetainedMessage>, StoreError> {
        self.write(ForgetExpired { now }).await?;
        let key = Key::of(self.readers().dialect());
        let mut after = key.start.to_owned();
        // Of a topic that is set again meanwhile, the last one counts.
        let mut all = BTreeMap::new();
        loop {
            let page = self.readers().fetch_all(key.behind(&after)).await?;
            for row in &page {
                let message = message(row)?;
                all.insert(message.topic.clone(), message);
            }
            match page.last() {
                Some(last) if page.len() as i64 == PAGE => after = last.try_get("page_key")?,
                _ => return Ok(all.into_values().collect()),
            }
        }
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
        self.write(Save { changes }).await
    }
}

/// What retained messages are read by, page by page: an index has all of it. As a text.
struct Key {
    column: &'static str,
    text: &'static str,
    /// The key in the order of the index, of the parameter `$1`.
    parameter: &'static str,
    /// Before all.
    start: &'static str,
}

impl Key {
    fn of(dialect: Dialect) -> Self {
        let (column, text, parameter, start) = match dialect {
            Dialect::Sqlite => ("topic", "topic", "$1", ""),
            Dialect::Postgres => (
                "topic_hash",
                "encode(topic_hash, 'hex')",
                "decode($1, 'hex')",
                "",
            ),
            Dialect::MySql => ("row_id", "CAST(row_id AS CHAR)", "CAST($1 AS SIGNED)", "0"),
        };
        Self {
            column,
            text,
            parameter,
            start,
        }
    }

    /// What reads the page behind a key.
    fn behind(&self, after: &str) -> Statement {
        let Self {
            column,
            text,
            parameter,
            ..
        } = self;
        let text = format!(
            "SELECT topic, payload, attributes, expires_at, {text} AS page_key
             FROM retained WHERE {column} > {parameter} ORDER BY {column} LIMIT $2"
        );
        Statement::made(text).bind(after).bind(PAGE)
    }
}

fn message(row: &AnyRow) -> Result<RetainedMessage, StoreError> {
    let expires_at: Option<i64> = row.try_get("expires_at")?;
    Ok(RetainedMessage {
        topic: row.try_get("topic")?,
        payload: row.try_get::<Vec<u8>, _>("payload")?.into(),
        attributes: row.try_get("attributes")?,
        expires_at: expires_at.map(Timestamp::from_millis),
    })
}

struct ForgetExpired {
    now: Timestamp,
}

impl Operation for ForgetExpired {
    type Output = ();

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let delete = tx
            .dialect()
            .delete_by_index("retained", "retained_by_expiry");
        let forget = bulk::statement(format!("{delete} WHERE expires_at <= $1"));
        tx.execute(Statement::new(forget).bind(self.now.as_millis()))
            .await?;
        Ok(())
    }
}

struct Save {
    changes: Vec<RetainedChange>,
}

impl Operation for Save {
    type Output = ();

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let dialect = tx.dialect();
        let change = |change: &RetainedChange| match change {
            RetainedChange::Set(message) => set(message, dialect),
            RetainedChange::Clear { topic } => clear(topic, dialect),
        };
        let mut script = Script::default();
        script.add_all(self.changes.iter().map(change));
        tx.run(script).await?;
        Ok(())
    }
}

fn set(message: &RetainedMessage, dialect: Dialect) -> Statement {
    // A topic may be longer than a key of PostgreSQL.
    let key = match dialect {
        Dialect::Postgres => "topic_hash",
        Dialect::Sqlite | Dialect::MySql => "topic",
    };
    let again = dialect.on_conflict(&[key], &["payload", "attributes", "expires_at"]);
    let text = format!(
        "INSERT INTO retained (topic, payload, attributes, expires_at) VALUES ($1, $2, $3, $4) {again}"
    );
    Statement::made(text)
        .bind(message.topic.as_str())
        .bind(message.payload.as_ref())
        .bind(message.attributes.as_str())
        .bind(message.expires_at.map(Timestamp::as_millis))
}

fn clear(topic: &str, dialect: Dialect) -> Statement {
    let delete = dialect.delete_by_index("retained", "retained_topic_hash");
    let of_topic = match dialect {
        Dialect::Sqlite | Dialect::Postgres => "topic = $1",
        // Of no other topic, however many begin alike: it would wait for each.
        Dialect::MySql => "topic_hash = UNHEX(SHA2($1, 256))",
    };
    let clear = bulk::statement(format!("{delete} WHERE {of_topic}"));
    Statement::new(clear).bind(topic)
}
