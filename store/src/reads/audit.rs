//! The audit.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::dialect::Param;
use crate::ids::AFTER_ALL;
use crate::page::{JsonBytes, item_bytes};
use crate::{AuditEntry, AuditId, Page, Store, StoreError, Timestamp};

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
        let (conditions, last) = match (&filter.action, &filter.actor) {
            (None, None) => ("", 2),
            (Some(_), None) => ("AND action = $2", 3),
            (None, Some(_)) => ("AND actor = $2", 3),
            (Some(_), Some(_)) => ("AND action = $2 AND actor = $3", 4),
        };
        let text = format!(
            "SELECT id, at, action, actor, target, address, request_id, detail, count
             FROM audit WHERE id < $1 {conditions} ORDER BY id DESC LIMIT ${last}"
        );
        let mut params = vec![Param::Text(before.map_or(AFTER_ALL, AuditId::as_str))];
        let conditions = [&filter.action, &filter.actor].into_iter().flatten();
        params.extend(conditions.map(|condition| Param::Text(condition)));
        params.push(Param::Int(i64::from(limit) + 1));
        self.lists().page(text, &params, limit, stored).await
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
