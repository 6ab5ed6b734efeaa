//! Messages that are accepted.

mod decide;
mod statements;

use std::sync::Arc;
use std::time::Instant;

use super::lease::LeaseTerm;
use crate::writer::{Locks, Operation, Transaction};
use crate::{Lease, MessageId, Store, StoreError, Timestamp, UserId, WorksAtOnce};
pub use decide::Accepted;
use decide::{Accept, Answer, AtOnce, decide};
use statements::Reads;

impl Store {
    /// Accepts a message of `user`, to be worked on after the delay that is set. Wakes the worker, or hands it the message if
    /// it [works at once](Self::work_at_once).
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] at once if too many writes are waiting, [`StoreError::UnknownUser`] if
    /// there is no such account, another [`StoreError`] if it cannot be written.
    pub async fn accept(
        &self,
        user: &UserId,
        body: String,
        idempotency_key: Option<String>,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        let accept = self.new_accept(user, body, idempotency_key, now);
        let accepted = self.try_write(accept, None).await?;
        accepted.accepted.ok_or(StoreError::UnknownUser)
    }

    /// As [`accept`](Self::accept), but it is written `by` then or not at all, but for what is being committed: for senders who
    /// stop waiting.
    ///
    /// # Errors
    ///
    /// The same; [`StoreError::Busy`] or [`StoreError::Locked`] if there was no time.
    pub async fn accept_by(
        &self,
        user: &UserId,
        body: String,
        idempotency_key: Option<String>,
        now: Timestamp,
        by: Instant,
    ) -> Result<Accepted, StoreError> {
        let accept = self.new_accept(user, body, idempotency_key, now);
        let accepted = self.try_write(accept, Some(by)).await?;
        accepted.accepted.ok_or(StoreError::UnknownUser)
    }

    /// As [`accept`](Self::accept), but if too many writes are waiting, waits for room for a while before it fails with
    /// [`StoreError::Busy`]: for senders that can be held back.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn accept_or_wait(
        &self,
        user: &UserId,
        body: String,
        idempotency_key: Option<String>,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        let accept = self.new_accept(user, body, idempotency_key, now);
        let accepted = self.write(accept).await?.accepted;
        accepted.ok_or(StoreError::UnknownUser)
    }

    /// From now on, `works` is handed messages that are due as they are accepted, if it has room; `None`: all wait to be claimed.
    /// Of a user's messages, none is handed over while an earlier one waits that is due.
    pub fn work_at_once(&self, works: Option<Arc<dyn WorksAtOnce>>) {
        self.at_once().set(works);
    }

    fn new_accept(
        &self,
        user: &UserId,
        body: String,
        idempotency_key: Option<String>,
        now: Timestamp,
    ) -> Accept {
        Accept {
            id: MessageId::new(),
            user: user.clone(),
            body,
            idempotency_key,
            now,
            at_once: self.at_once().get().map(|works| AtOnce {
                lease: Lease::new(self.node().as_ref()),
                term: LeaseTerm::new(works.lease(), now),
                works,
            }),
            max_open: i64::from(self.waiting_messages()),
            max_stored: self
                .stored_bytes_limit()
                .map_or(i64::MAX, |limit| limit.try_into().unwrap_or(i64::MAX)),
        }
    }
}

impl Operation for Accept {
    type Output = Answer;

    const FEW_WAIT: bool = true;

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Answer, StoreError> {
        let mut outputs = Self::run_all(&[self], tx).await?;
        Ok(outputs.remove(0))
    }

    async fn run_all(all: &[&Self], tx: &mut Transaction<'_>) -> Result<Vec<Answer>, StoreError> {
        let (script, reads) = Reads::of(all, tx.dialect());
        let facts = reads.facts(&tx.run(script).await?)?;
        let decision = decide(all, facts, &mut rand::rng());
        let script = decision.writes(tx);
        tx.defer(script).await?;
        Ok(decision.outputs)
    }

    fn committed(&self, answer: &mut Answer) {
        if let Some((room, job)) = answer.taken.take() {
            room.begin(job);
        }
    }

    fn wakes_worker(&self, answer: &Answer) -> bool {
        answer.waits()
    }
}
