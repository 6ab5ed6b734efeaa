//! The audit: who did what, when, and from where.
//!
//! What changes something is recorded in the transaction that changes it: see [`Store::audited`]. What only happened, such
//! as a sign-in that failed, is recorded afterwards by [`Store::record_audit`].

use std::borrow::Cow;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::dialect::Param;
use crate::page::{JsonBytes, item_bytes};
use crate::writer::Operation;
use crate::{AuditId, Page, Store, StoreError, Timestamp};

/// Entries deleted in one step.
const PRUNED_AT_ONCE: i64 = 1000;

/// Something that was done, or tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// What, as a word of a fixed list that is not kept here.
    pub action: Cow<'static, str>,
    /// The name of who did it; `None` if nobody was signed in.
    pub actor: Option<String>,
    /// What it was done to: a username or an id. `None` also stands for the id of what a write makes.
    pub target: Option<String>,
    /// The IP address that it came from; `None`: from the command line.
    pub address: Option<String>,
    /// The HTTP request that asked for it.
    pub request_id: Option<String>,
    /// What else there is to say of it. Never a secret.
    pub detail: Option<String>,
    /// How often it happened, if this stands for more than once.
    pub count: u32,
}

/// An entry with the id that it is listed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAuditEntry {
    /// Later entries have greater ids.
    pub id: AuditId,
    /// What happened.
    pub entry: AuditEntry,
}

/// Which entries are asked for; `None`: whatever they say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those with this action.
    pub action: Option<String>,
    /// Those of the user with this name.
    pub actor: Option<String>,
}

impl Store {
    /// A handle to the same database for one change: the first write with it that changes something is recorded as `entry`
    /// in its own transaction, so that there is neither the one without the other.
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

    /// Up to `limit` entries, the newest first, those recorded before `before`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<&AuditId>,
        limit: u32,
    ) -> Result<Page<StoredAuditEntry>, StoreError> {
        // A statement for each set of conditions, so that each has its index.
        let conditions = match (&filter.action, &filter.actor) {
            (None, None) => "",
            (Some(_), None) => "AND action = $3",
            (None, Some(_)) => "AND actor = $3",
            (Some(_), Some(_)) => "AND action = $3 AND actor = $4",
        };
        let text = format!(
            "SELECT id, at, action, actor, target, address, request_id, detail, count
             FROM audit WHERE id < $1 {conditions} ORDER BY id DESC LIMIT $2"
        );
        let mut params = vec![
            Param::Text(before.map_or(crate::ids::AFTER_ALL, AuditId::as_str)),
            Param::Int(i64::from(limit) + 1),
        ];
        let conditions = [&filter.action, &filter.actor].into_iter().flatten();
        params.extend(conditions.map(|condition| Param::Text(condition)));
        self.lists().page(text, &params, limit, stored).await
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
        let oldest_kept: Option<String> =
            sqlx::query_scalar("SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET $1")
                .bind(i64::try_from(entries.saturating_sub(1)).unwrap_or(i64::MAX))
                .fetch_optional(self.readers())
                .await?;
        let Some(oldest_kept) = oldest_kept else {
            return Ok(0);
        };
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

impl JsonBytes for StoredAuditEntry {
    fn json_bytes(&self) -> usize {
        let entry = &self.entry;
        let texts = [
            &entry.actor,
            &entry.target,
            &entry.address,
            &entry.request_id,
            &entry.detail,
        ];
        item_bytes(texts.map(Option::as_deref))
    }
}

fn stored(row: &AnyRow) -> Result<StoredAuditEntry, StoreError> {
    let count: i64 = row.try_get("count")?;
    Ok(StoredAuditEntry {
        id: AuditId::from_string(row.try_get::<String, _>("id")?),
        entry: AuditEntry {
            at: Timestamp::from_millis(row.try_get("at")?),
            action: row.try_get::<String, _>("action")?.into(),
            actor: row.try_get("actor")?,
            target: row.try_get("target")?,
            address: row.try_get("address")?,
            request_id: row.try_get("request_id")?,
            detail: row.try_get("detail")?,
            count: u32::try_from(count).unwrap_or(u32::MAX),
        },
    })
}

async fn insert(
    conn: &mut AnyConnection,
    id: &AuditId,
    entry: &AuditEntry,
    target: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit (id, at, action, actor, target, address, request_id, detail, count)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(id.as_str())
    .bind(entry.at.as_millis())
    .bind(&*entry.action)
    .bind(entry.actor.as_deref())
    .bind(target)
    .bind(entry.address.as_deref())
    .bind(entry.request_id.as_deref())
    .bind(entry.detail.as_deref())
    .bind(i64::from(entry.count))
    .execute(conn)
    .await?;
    Ok(())
}

/// A write that is recorded if it changes something.
pub(crate) struct Audited<O> {
    id: AuditId,
    entry: AuditEntry,
    operation: O,
}

impl<O> Audited<O> {
    pub(crate) fn new(entry: AuditEntry, operation: O) -> Self {
        let id = AuditId::new();
        Self {
            id,
            entry,
            operation,
        }
    }
}

impl<O: Operation> Operation for Audited<O> {
    type Answer = O::Answer;

    async fn run(&self, conn: &mut AnyConnection) -> Result<O::Answer, StoreError> {
        let answer = self.operation.run(conn).await?;
        if O::changes(&answer) {
            let target = self.entry.target.as_deref();
            let target = target.or_else(|| self.operation.makes());
            insert(conn, &self.id, &self.entry, target).await?;
        }
        Ok(answer)
    }

    fn wakes_worker(&self, answer: &O::Answer) -> bool {
        self.operation.wakes_worker(answer)
    }
}

struct Record(Vec<(AuditId, AuditEntry)>);

impl Operation for Record {
    type Answer = ();

    async fn run(&self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        for (id, entry) in &self.0 {
            insert(conn, id, entry, entry.target.as_deref()).await?;
        }
        Ok(())
    }
}

struct Prune(AuditId);

impl Operation for Prune {
    /// How many entries were deleted.
    type Answer = u64;

    /// What comes back is deleted again.
    const DURABLE: bool = false;

    async fn run(&self, conn: &mut AnyConnection) -> Result<u64, StoreError> {
        let deleted = sqlx::query(
            "DELETE FROM audit WHERE id IN (
                SELECT id FROM audit WHERE id < $1 ORDER BY id LIMIT $2)",
        )
        .bind(self.0.as_str())
        .bind(PRUNED_AT_ONCE)
        .execute(conn)
        .await?;
        Ok(deleted.rows_affected())
    }
}
