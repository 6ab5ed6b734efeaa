//! Writes that share a transaction, those of a kind together.

use std::any::Any;
use std::time::Instant;

use tokio::sync::Notify;

use super::failure::is_broken;
use super::group::{Group, Kind, Which};
use super::locks::Locks;
use super::operation::Operation;
use super::transaction::Transaction;
use super::waiting::{State, Waiting};
use crate::{StoreError, server};

/// A write in the queue.
pub(super) trait Queued: Send {
    /// Puts it with those of its kind.
    fn join(self: Box<Self>, batch: &mut Batch);
}

impl<O: Operation> Queued for Waiting<O> {
    fn join(self: Box<Self>, batch: &mut Batch) {
        batch.kind::<O>().0.push(*self);
    }
}

/// Writes that share a transaction, until what came of each is known.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) kinds: Vec<Box<dyn Group>>,
    /// Whether each is to have a transaction of its own, as one of them failed by its own fault or others
    /// were in the way of one.
    pub(super) is_apart: bool,
    /// Whether others were in the way of one: it is not to hold up the rest again.
    pub(super) is_hasty: bool,
}

impl Batch {
    pub(super) fn of(queued: impl Iterator<Item = Box<dyn Queued>>) -> Self {
        let mut batch = Self::default();
        for waiting in queued {
            waiting.join(&mut batch);
        }
        batch
    }

    fn kind<O: Operation>(&mut self) -> &mut Kind<O> {
        let mut kinds = self.kinds.iter().map(|kind| kind.as_ref() as &dyn Any);
        let same = kinds.position(|kind| kind.is::<Kind<O>>());
        let index = same.unwrap_or_else(|| {
            self.kinds.push(Box::new(Kind::<O>(vec![])));
            self.kinds.len() - 1
        });
        let kind: &mut dyn Any = self.kinds[index].as_mut();
        kind.downcast_mut().expect("its type was asked for")
    }

    /// What they lock.
    pub(super) fn locks(&self) -> Locks {
        let mut locks = Locks::default();
        for kind in &self.kinds {
            kind.lock(&mut locks);
        }
        locks
    }

    /// Moves those to the end of `other` that lock what it locks, and so have to come after it.
    pub(super) fn queue_behind(&mut self, other: &mut Self) {
        let mut locks = other.locks();
        if locks.is_empty() {
            return;
        }
        for kind in &mut self.kinds {
            let taken = kind.take(Which::Overlapping(&locks));
            taken.lock(&mut locks);
            other.add(taken);
        }
        self.forget_empty();
        other.forget_empty();
    }

    /// Moves all to the end of `other`.
    pub(super) fn append_to(&mut self, other: &mut Self) {
        for kind in self.kinds.drain(..) {
            other.add(kind);
        }
    }

    /// Adds writes of a kind at the end of those that are there.
    fn add(&mut self, group: Box<dyn Group>) {
        let kind_of = |group: &dyn Group| (group as &dyn Any).type_id();
        let kind = kind_of(group.as_ref());
        match self
            .kinds
            .iter_mut()
            .find(|one| kind_of(one.as_ref()) == kind)
        {
            Some(same) => same.append(group),
            None => self.kinds.push(group),
        }
    }

    /// How many writes wait.
    pub(super) fn len(&self) -> usize {
        self.kinds.iter().map(|kind| kind.len()).sum()
    }

    /// Whether one of them is to be written.
    pub(super) fn is_open(&self) -> bool {
        self.kinds.iter().any(|kind| kind.has(State::Open))
    }

    /// Whether one of them has to survive a power failure.
    pub(super) fn is_durable(&self) -> bool {
        self.kinds.iter().any(|kind| kind.is_durable())
    }

    /// Until when the last of them is repeated, if they are.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.kinds.iter().filter_map(|kind| kind.deadline()).max()
    }

    /// Runs all until one fails; then it returns `false`, or the error if it is no fault of its own: on this connection, others
    /// would fail, too.
    pub(super) async fn run(&mut self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        for kind in &mut self.kinds {
            match kind.run(tx).await {
                Ok(()) => {}
                Err(error) if is_broken(&error) => return Err(error),
                Err(_) => return Ok(false),
            }
        }
        tx.write_counts().await?;
        Ok(true)
    }

    /// All are being committed.
    pub(super) fn committing(&mut self) {
        self.change(State::Open, State::Committing);
    }

    /// What was being committed was, or was not; the same would fail again with `fault`.
    pub(super) fn resolve(&mut self, committed: bool, fault: Option<&StoreError>) {
        match (committed, fault) {
            (true, _) => self.change(State::Committing, State::Settled),
            (false, Some(fault)) => self.fail_all(State::Committing, fault),
            (false, None) => self.change(State::Committing, State::Open),
        }
    }

    /// What is known to be this failed.
    pub(super) fn fail_all(&mut self, state: State, failure: &StoreError) {
        for kind in &mut self.kinds {
            kind.fail(state, Which::All, failure);
        }
    }

    /// What is to be written and would not be until `time` failed; so does what locks the same, and would come before it.
    pub(super) fn fail_open(&mut self, time: Instant, failure: &StoreError) {
        let mut locks = Locks::default();
        for kind in &self.kinds {
            kind.lock_late(time, &mut locks);
        }
        self.fail_late(time, failure);
        if locks.is_empty() {
            return;
        }
        for kind in &mut self.kinds {
            kind.fail(State::Open, Which::Overlapping(&locks), failure);
        }
    }

    /// What is to be written and would not be until `time` failed.
    pub(super) fn fail_late(&mut self, time: Instant, failure: &StoreError) {
        for kind in &mut self.kinds {
            kind.fail(State::Open, Which::Late(time), failure);
        }
    }

    /// Of what is being committed and is not settled by `time`, nothing is known.
    pub(super) fn fail_committing(&mut self, time: Instant) {
        let unknown = server::silence();
        for kind in &mut self.kinds {
            kind.fail(State::Committing, Which::Late(time), &unknown);
        }
    }

    /// The results are what they are.
    pub(super) fn settle(&mut self) {
        self.change(State::Open, State::Settled);
    }

    fn change(&mut self, from: State, to: State) {
        for kind in &mut self.kinds {
            kind.change(from, to);
        }
    }

    /// Sends the callers of what is settled what came of it, and forgets it; notifies `wake` if a message may be due then.
    pub(super) fn send_settled(&mut self, wake: &Notify) {
        for kind in &mut self.kinds {
            kind.send_settled(wake);
        }
        self.forget_empty();
    }

    fn forget_empty(&mut self) {
        self.kinds.retain(|kind| kind.len() > 0);
    }
}
