//! How long a claim lasts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::statement::Statement;
use crate::writer::{Operation, Transaction};
use crate::{Job, Lease, MessageId, Store, StoreError, Timestamp};

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
        let renew = Statement::new(
            "UPDATE messages SET lease_until = $1
             WHERE id = $2 AND status = 'processing' AND lease = $3",
        );
        let renew = renew
            .bind(self.term.end().as_millis())
            .bind(self.id.as_str())
            .bind(&*self.lease.0);
        Ok(tx.execute(renew).await? > 0)
    }
}
