//! Retained messages, and what has changed of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::dialect::Dialect;
use crate::statement::Statement;
use crate::{Store, StoreError, Timestamp, bulk};

/// How many messages are read at once: each may be as long as a packet.
const PAGE: i64 = 32;

/// The number of the last change.
pub(crate) const LAST: &str = "SELECT value FROM counters WHERE name = 'retained'";

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

/// A change of what is retained on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainedRow {
    /// The topic.
    pub topic: String,
    /// The message that it has since; `None`: it has none any more.
    pub message: Option<RetainedMessage>,
    /// The number of the change: they are given in the order of commits.
    pub revision: i64,
}

impl Store {
    /// How many topics [`Store::retained_of`] takes, and how many changes [`Store::retained_since`] returns.
    pub const RETAINED: usize = PAGE as usize;

    /// All retained messages that have not expired by `now`, by topic.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn retained(&self, now: Timestamp) -> Result<Vec<RetainedMessage>, StoreError> {
        let key = Key::of(self.readers().dialect());
        let mut after = key.start.to_owned();
        // Of a topic that is set again meanwhile, the last one counts.
        let mut all = BTreeMap::new();
        loop {
            let page = self.readers().fetch_all(key.behind(&after)).await?;
            for row in &page {
                let RetainedRow { topic, message, .. } = changed(row)?;
                all.insert(topic, message);
            }
            match page.last() {
                Some(last) if page.len() as i64 == PAGE => after = last.try_get("page_key")?,
                _ => break,
            }
        }
        let is_left = |message: &RetainedMessage| message.expires_at.is_none_or(|at| at > now);
        Ok(all.into_values().flatten().filter(is_left).collect())
    }

    /// The number of the last change of what is retained; 0 before the first.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn last_retained_change(&self) -> Result<i64, StoreError> {
        let last = self.readers().fetch_one(Statement::new(LAST)).await?;
        Ok(last.try_get("value")?)
    }

    /// The next changes after the number `after`, in order, as many as are read at once: each topic once, with the last change of it.
    /// `None` if some are not known any more, or the database has lost some that were known: then [all](Store::retained) has to be
    /// read anew.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn retained_since(&self, after: i64) -> Result<Option<Vec<RetainedRow>>, StoreError> {
        let changes = Statement::new(
            "SELECT last.value AS last, forgotten.value AS forgotten,
                r.topic, r.payload, r.attributes, r.expires_at, r.revision
             FROM counters last JOIN counters forgotten ON forgotten.name = 'retained_forgotten'
             LEFT JOIN retained r ON r.revision > $1
             WHERE last.name = 'retained' ORDER BY r.revision LIMIT $2",
        );
        let changes = changes.bind(after).bind(PAGE);
        let rows = self.readers().fetch_all(changes).await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let (last, forgotten): (i64, i64) = (first.try_get("last")?, first.try_get("forgotten")?);
        if last < after || forgotten > after {
            return Ok(None);
        }
        match first.try_get::<Option<i64>, _>("revision")? {
            Some(_) => rows.iter().map(changed).collect::<Result<_, _>>().map(Some),
            None => Ok(Some(vec![])),
        }
    }

    /// What is retained on these topics, [`Store::RETAINED`] at most; a topic that has never had a message is left out.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn retained_of(&self, topics: &[&str]) -> Result<Vec<RetainedRow>, StoreError> {
        let dialect = self.readers().dialect();
        let mut found = vec![];
        for some in bulk::padded(topics) {
            let list = bulk::list(some.len(), 1);
            let of_topics = match dialect {
                Dialect::Sqlite | Dialect::Postgres => format!("topic IN ({list})"),
                // No other index has whole topics.
                Dialect::MySql => {
                    let hashes: Vec<_> = (1..=some.len())
                        .map(|n| format!("UNHEX(SHA2(${n}, 256))"))
                        .collect();
                    format!("topic_hash IN ({})", hashes.join(", "))
                }
            };
            let text = format!(
                "SELECT topic, payload, attributes, expires_at, revision FROM retained WHERE {of_topics}"
            );
            let of_topics = some
                .into_iter()
                .fold(Statement::made(text), |statement, topic| {
                    statement.bind(topic.map(|topic| (*topic).to_owned()))
                });
            let rows = self.readers().fetch_all(of_topics).await?;
            for row in &rows {
                found.push(changed(row)?);
            }
        }
        Ok(found)
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
            "SELECT topic, payload, attributes, expires_at, revision, {text} AS page_key
             FROM retained WHERE {column} > {parameter} ORDER BY {column} LIMIT $2"
        );
        Statement::made(text).bind(after).bind(PAGE)
    }
}

fn changed(row: &AnyRow) -> Result<RetainedRow, StoreError> {
    let topic: String = row.try_get("topic")?;
    let payload: Bytes = row.try_get::<Vec<u8>, _>("payload")?.into();
    let expires_at: Option<i64> = row.try_get("expires_at")?;
    let message = match payload.is_empty() {
        true => None,
        false => Some(RetainedMessage {
            topic: topic.clone(),
            payload,
            attributes: row.try_get("attributes")?,
            expires_at: expires_at.map(Timestamp::from_millis),
        }),
    };
    Ok(RetainedRow {
        topic,
        message,
        revision: row.try_get("revision")?,
    })
}
