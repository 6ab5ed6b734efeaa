//! Which process has the session of an MQTT client.
//!
//! All that is written of a user's sessions is written under the lock of the inbox of that user: so two processes that take a
//! session over do so one after the other, and sessions are counted exactly.

mod decide;
mod orders;
mod statements;
mod wills;

use std::time::{Duration, Instant};

use crate::statement::Script;
use crate::writer::{Locks, Operation, Transaction};
use crate::{Departure, ProcessId, Store, StoreError, TakeOver, TakenOver};
use decide::decide;
use statements::{Reads, disconnect, found, own_rows, remove};
pub use wills::ClaimedWill;

/// How long a takeover may wait to be written: whoever arrived then does not wait for it any more, and may have gone to another
/// server, whose session it would end.
const IN_TIME: Duration = Duration::from_secs(5);

impl Store {
    /// Makes this process the one that has a session. Whichever had it, and is there, is ordered to end it, and so is one whose
    /// session makes room. A power failure of the database may undo it.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn take_over_session(&self, take: TakeOver) -> Result<TakenOver, StoreError> {
        let own = self.process().clone();
        let in_time = Instant::now() + IN_TIME;
        self.try_write(Take { take, own }, Some(in_time)).await
    }

    /// Writes down that this process does not have these sessions any more.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn give_up_sessions(&self, all: Vec<Departure>) -> Result<(), StoreError> {
        let own = self.process().clone();
        self.write(GiveUp { all, own }).await
    }

    /// Writes down that these sessions, which this process has, have no connection.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn disconnect_sessions(&self, all: Vec<Departure>) -> Result<(), StoreError> {
        let own = self.process().clone();
        self.write(Disconnect { all, own }).await
    }
}

struct Take {
    take: TakeOver,
    own: ProcessId,
}

impl Operation for Take {
    type Output = TakenOver;

    /// After a power failure, connections begin anew.
    const DURABLE: bool = false;

    const FEW_WAIT: bool = true;

    fn lock(&self, locks: &mut Locks) {
        locks.inbox(&self.take.session.key.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<TakenOver, StoreError> {
        let mut outputs = Self::run_all(&[self], tx).await?;
        Ok(outputs.remove(0))
    }

    async fn run_all(
        all: &[&Self],
        tx: &mut Transaction<'_>,
    ) -> Result<Vec<TakenOver>, StoreError> {
        let own = &all[0].own;
        let takes: Vec<_> = all.iter().map(|one| &one.take).collect();
        let (script, reads) = Reads::of(&takes, own, tx.dialect());
        let facts = reads.facts(&tx.run(script).await?)?;
        let decision = decide(&takes, own, facts);
        let script = decision.writes(own, tx.dialect());
        tx.defer(script).await?;
        Ok(decision.outputs)
    }
}

struct GiveUp {
    all: Vec<Departure>,
    own: ProcessId,
}

impl Operation for GiveUp {
    type Output = ();

    const DURABLE: bool = false;

    fn lock(&self, locks: &mut Locks) {
        lock(&self.all, locks);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let mut script = Script::default();
        let part = script.add_all(own_rows("mqtt_sessions", &self.all, &self.own));
        let results = tx.run(script).await?;
        let keys = found(&self.all, results.rows(&part))?;
        let mut script = Script::default();
        script.add_all(remove("mqtt_sessions", &keys, tx.dialect()));
        tx.defer(script).await
    }
}

struct Disconnect {
    all: Vec<Departure>,
    own: ProcessId,
}

impl Operation for Disconnect {
    type Output = ();

    const DURABLE: bool = false;

    fn lock(&self, locks: &mut Locks) {
        lock(&self.all, locks);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let mut script = Script::default();
        script.add_all(disconnect(&self.all, &self.own, tx.dialect()));
        tx.defer(script).await
    }
}

fn lock(all: &[Departure], locks: &mut Locks) {
    for one in all {
        locks.inbox(&one.key.user);
    }
}
