//! The end of a message, of which its owner is notified.

mod decide;
mod statements;

use crate::writer::{Locks, Operation, Transaction};
use crate::{Job, Outcome, Store, StoreError, Timestamp};
pub use decide::Finished;
use decide::{Finish, decide};
use statements::Reads;

impl Store {
    /// Ends the message of `job` at `now`, and puts the notification about it in its owner's inbox
    /// under the next number. Returns `None`, and does nothing, if the message was finished or
    /// claimed again since.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn finish(
        &self,
        job: &Job,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Option<Finished>, StoreError> {
        self.write(Finish {
            job: job.clone(),
            outcome,
            epoch: self.epoch(),
            notification_bytes: self.notification_bytes(),
            now,
        })
        .await
    }
}

impl Operation for Finish {
    type Output = Option<Finished>;

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.job.user_id);
        locks.inbox(&self.job.user_id);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Option<Finished>, StoreError> {
        let mut outputs = Self::run_all(&[self], tx).await?;
        Ok(outputs.pop().flatten())
    }

    async fn run_all(
        all: &[&Self],
        tx: &mut Transaction<'_>,
    ) -> Result<Vec<Option<Finished>>, StoreError> {
        let (script, reads) = Reads::of(all);
        let facts = reads.facts(&tx.run(script).await?)?;
        let decision = decide(all, facts);
        let script = decision.writes(tx);
        tx.run(script).await?;
        Ok(decision.outputs)
    }
}
