//! The end of a message, of which its owner is notified.

mod decide;
mod returning;
mod statements;

use crate::dialect::Dialect;
use crate::statement::Script;
use crate::writer::{Locks, Operation, Transaction};
use crate::{Job, Outcome, Store, StoreError, Timestamp};
pub use decide::Finished;
use decide::{Finish, decide};
use statements::{Changes, Reads};

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
        let may_change_first = returning::may_change_first(all, tx.dialect());
        let facts = match may_change_first {
            true => returning::change(all, tx).await?,
            false => {
                let (script, reads) = Reads::of(all);
                reads.facts(&tx.run(script).await?)?
            }
        };
        let decision = decide(all, facts);
        let mut script = Script::default();
        let changes = match may_change_first {
            true => None,
            false => Some(Changes::of(&decision, &mut script, tx.dialect())),
        };
        script.add_all(decision.inserts(tx));
        match changes {
            // Between the reads and this, others may have written.
            Some(changes) if tx.dialect() != Dialect::Sqlite => {
                changes.check(&decision, &tx.run(script).await?)?;
            }
            _ => tx.defer(script).await?,
        }
        Ok(decision.outputs)
    }
}
