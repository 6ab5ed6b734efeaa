//! The audit: what is recorded, and what is forgotten.

use sqlx::Row as _;

use super::audited::insert;
use crate::dialect::Dialect;
use crate::statement::{Script, Statement};
use crate::writer::{Operation, Transaction};
use crate::{AuditEntry, AuditId, Store, StoreError, Timestamp};

/// Entries deleted in one step.
const PRUNED_AT_ONCE: i64 = 1000;

impl Store {
    /// A handle to the same database for one change: the first write with it that changes something is recorded as `entry`
    /// in its own transaction, so that neither exists without the other.
    #[must_use]
    pub fn audited(&self, entry: AuditEntry) -> Self {
        self.with_entry(Some(entry))
    }

    /// Records what has happened.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn record_audit(&self, entries: Vec<AuditEntry>) -> Result<(), StoreError> {
        let with_id = |entry| (AuditId::new(), entry);
        let entries = entries.into_iter().map(with_id).collect();
        self.write(Record(entries)).await
    }

    /// Deletes the entries that were recorded before `before`, in steps. Returns how many there were.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written. What was not deleted is deleted by the next call.
    pub async fn prune_audit(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.delete_audit(AuditId::first_at(before)).await
    }

    /// Deletes the oldest entries until there are `entries` or fewer, in steps. Returns how many there were to delete.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read or written. What was not deleted is deleted by the next call.
    pub async fn cut_audit(&self, entries: u64) -> Result<u64, StoreError> {
        // A walk through an index.
        let oldest_kept = Statement::new("SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET $1")
            .bind(i64::try_from(entries.saturating_sub(1)).unwrap_or(i64::MAX));
        let Some(oldest_kept) = self.readers().fetch_optional(oldest_kept).await? else {
            return Ok(0);
        };
        let oldest_kept: String = oldest_kept.try_get("id")?;
        self.delete_audit(AuditId::from_string(oldest_kept)).await
    }

    /// Deletes the entries before `first`.
    async fn delete_audit(&self, first: AuditId) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let step = self.write(Prune(first.clone())).await?;
            if step == 0 {
                return Ok(deleted);
            }
            deleted += step;
        }
    }
}

struct Record(Vec<(AuditId, AuditEntry)>);

impl Operation for Record {
    type Output = ();

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let insert =
            |(id, entry): &(AuditId, AuditEntry)| insert(id, entry, entry.target.as_deref());
        let mut script = Script::default();
        script.add_all(self.0.iter().map(insert));
        tx.defer(script).await
    }
}

struct Prune(AuditId);

impl Operation for Prune {
    /// How many entries were deleted.
    type Output = u64;

    /// Rows that a crash brings back are deleted by the next call.
    const DURABLE: bool = false;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<u64, StoreError> {
        let text = match tx.dialect() {
            Dialect::Sqlite | Dialect::Postgres => {
                "DELETE FROM audit WHERE id IN (
                    SELECT id FROM audit WHERE id < $1 ORDER BY id LIMIT $2)"
            }
            Dialect::MySql => "DELETE FROM audit WHERE id < $1 ORDER BY id LIMIT $2",
        };
        let prune = Statement::new(text).bind(self.0.as_str().to_owned());
        tx.execute(prune.bind(PRUNED_AT_ONCE)).await
    }
}
