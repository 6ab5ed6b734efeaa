//! A write and its entry in the audit, as one.

use crate::statement::Script;
use crate::statement::Statement;
use crate::writer::{Channel, Locks, Operation, Transaction};
use crate::{AuditEntry, AuditId, StoreError};

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
    type Output = O::Output;

    const CHANNEL: Channel = O::CHANNEL;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<O::Output, StoreError> {
        let output = self.operation.run(tx).await?;
        if O::changes(&output) {
            let target = self.entry.target.as_deref();
            let target = target.or_else(|| self.operation.makes());
            let mut script = Script::default();
            script.add(insert(&self.id, &self.entry, target));
            tx.defer(script).await?;
        }
        Ok(output)
    }

    fn lock(&self, locks: &mut Locks) {
        self.operation.lock(locks);
    }

    fn committed(&self, output: &mut O::Output) {
        self.operation.committed(output);
    }

    fn wakes_worker(&self, output: &O::Output) -> bool {
        self.operation.wakes_worker(output)
    }
}

/// What writes an entry down.
pub(crate) fn insert(id: &AuditId, entry: &AuditEntry, target: Option<&str>) -> Statement {
    Statement::new(
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
}
