//! How long a claim lasts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::bulk::RowsUpdate;
use crate::dialect::Dialect;
use crate::statement::{Part, Script, Statement};
use crate::writer::{Operation, Transaction};
use crate::{Job, Lease, MessageId, Store, StoreError, Timestamp, bulk};

impl Store {
    /// Makes the lease of `job` last until `now + lease`. Returns `false`, and does nothing, if the
    /// message was finished or claimed again since.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn renew(
        &self,
        job: &Job,
        lease: Duration,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(Renew {
            id: job.id.clone(),
            lease: job.lease.clone(),
            term: LeaseTerm::new(lease, now),
        })
        .await
    }
}

/// Whether a message is being worked on here.
pub type IsRunning = Arc<dyn Fn(&MessageId) -> bool + Send + Sync>;

/// Until when a lease lasts that is written later than it was asked for.
#[derive(Clone, Copy)]
pub(super) struct LeaseTerm {
    until: Timestamp,
    asked: Instant,
}

impl LeaseTerm {
    pub(super) fn new(lease: Duration, now: Timestamp) -> Self {
        Self {
            until: now + lease,
            asked: Instant::now(),
        }
    }

    /// A writer that was held up must not write leases that have run out. Below a second, it does not matter.
    pub(super) fn end(&self) -> Timestamp {
        self.until + Duration::from_secs(self.asked.elapsed().as_secs())
    }
}

/// Not one that was finished or claimed again since.
const RENEW: RowsUpdate = RowsUpdate {
    table: "messages",
    rows: ("renewed", &["message_id", "its_lease", "its_end"]),
    set: &[("lease_until", "its_end")],
    matches: "id = message_id AND status = 'processing' AND lease = its_lease",
};

/// A message and its lease.
type Key<'a> = (&'a str, &'a str);

struct Renew {
    id: MessageId,
    lease: Lease,
    term: LeaseTerm,
}

impl Operation for Renew {
    type Output = bool;

    /// A start after a crash takes up what was claimed, whatever the lease.
    const DURABLE: bool = false;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        Ok(Self::run_all(&[self], tx).await? == [true])
    }

    async fn run_all(all: &[&Self], tx: &mut Transaction<'_>) -> Result<Vec<bool>, StoreError> {
        // Each once, and for as long as was asked for last.
        let ends = all.iter().map(|one| (one.key(), one.term.end()));
        let (script, part) = renew(&ends.collect(), tx.dialect());
        let results = tx.run(script).await?;
        let read = |row: &AnyRow| Ok((row.try_get("id")?, row.try_get("lease")?));
        let renewed = results.rows(&part).map(read);
        let renewed = renewed.collect::<Result<HashMap<String, String>, sqlx::Error>>()?;
        let is_renewed = |one: &&Self| {
            let (id, lease) = one.key();
            renewed.get(id).is_some_and(|theirs| theirs == lease)
        };
        Ok(all.iter().map(is_renewed).collect())
    }
}

impl Renew {
    fn key(&self) -> Key<'_> {
        (self.id.as_str(), &self.lease.0)
    }
}

/// What makes leases last until these times, and which part of it returns the messages with their leases. In the order of ids, as
/// all lock messages: their queues are not locked.
fn renew(ends: &BTreeMap<Key<'_>, Timestamp>, dialect: Dialect) -> (Script, Part) {
    let ends: Vec<_> = ends.iter().collect();
    let bind = |statement: Statement, one: Option<&(&Key<'_>, &Timestamp)>| {
        let (id, lease) = one.map(|(key, _)| **key).unzip();
        let end = one.map(|(_, end)| end.as_millis());
        statement.bind(id).bind(lease).bind(end)
    };
    let mut script = Script::default();
    let part = match dialect {
        Dialect::Sqlite | Dialect::Postgres => {
            script.add_all(RENEW.returning(dialect, "id, lease", &ends, bind))
        }
        Dialect::MySql => {
            script.add_all(RENEW.statements(dialect, &ends, bind));
            let ids: Vec<_> = ends.iter().map(|((id, _), _)| id).collect();
            let read = "SELECT id, lease FROM messages WHERE status = 'processing' AND id";
            script.add_all(bulk::of_each(read, &ids))
        }
    };
    (script, part)
}
