//! Writes that share a transaction, those of a kind together.

use std::any::Any;
use std::time::Instant;

use tokio::sync::Notify;

use super::failure::{is_broken, is_of_a_few};
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

/// How a batch takes what others have locked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// It waits for it.
    #[default]
    Patient,
    /// It puts the writes aside that lock it: others were in the way of some, and the rest is not to be held up.
    Hasty,
}

/// Writes of which some share a transaction, until what came of each is known.
#[derive(Default)]
pub(super) struct Batch {
    /// Those that share one.
    kinds: Vec<Box<dyn Group>>,
    /// Those that are to have one each, as one of their kind failed by its own fault, or waited in vain or too long for what its
    /// locks do not say.
    apart: Vec<Box<dyn Group>>,
    pub(super) mode: Mode,
    /// Whether it failed by the fault of something that was deferred, so that nothing is any more.
    pub(super) is_careful: bool,
    /// What it waits for once for a moment, however hasty.
    pub(super) in_line: Locks,
}

impl Batch {
    pub(super) fn of(queued: impl Iterator<Item = Box<dyn Queued>>) -> Self {
        let mut batch = Self::default();
        for waiting in queued {
            waiting.join(&mut batch);
        }
        batch
    }

    fn all(&self) -> impl Iterator<Item = &dyn Group> {
        self.kinds.iter().chain(&self.apart).map(Box::as_ref)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Box<dyn Group>> {
        self.kinds.iter_mut().chain(&mut self.apart)
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

    /// What those lock that share a transaction.
    pub(super) fn locks(&self) -> Locks {
        let mut locks = Locks::default();
        for kind in &self.kinds {
            kind.lock(&mut locks);
        }
        locks
    }

    /// What one of those locks.
    pub(super) fn locks_of(&self, mut index: usize) -> Locks {
        for kind in &self.kinds {
            if index < kind.len() {
                return kind.locks_of(index);
            }
            index -= kind.len();
        }
        Locks::default()
    }

    /// Takes those out that lock some of `locks`, or the same as one of their kind in `others`, and what has to come after them.
    pub(super) fn take_behind(&mut self, locks: &Locks, others: &Self) -> Self {
        let mut behind = Self::default();
        for kind in &mut self.kinds {
            let mut locks = locks.clone();
            if let Some(same) = others.all().find(|one| is_same(*one, kind.as_ref())) {
                same.lock(&mut locks);
            }
            behind.kinds.push(kind.take_behind(locks));
        }
        self.forget_empty();
        behind.forget_empty();
        behind
    }

    /// Takes out what is more than so many, of each kind about as much.
    pub(super) fn take_beyond(&mut self, most: usize) -> Self {
        let mut beyond = Self::default();
        if self.shared() > most {
            let each = most.div_ceil(self.kinds.len());
            let taken = self.kinds.iter_mut().map(|kind| kind.take_beyond(each));
            beyond.kinds.extend(taken);
            beyond.forget_empty();
        }
        beyond
    }

    /// Adds the writes of another batch at the end, each kind to its own.
    pub(super) fn append(&mut self, other: Self) {
        for kind in other.kinds.into_iter().chain(other.apart) {
            let mut kinds = self.kinds.iter_mut();
            match kinds.find(|one| is_same(one.as_ref(), kind.as_ref())) {
                Some(same) => same.append(kind),
                None => self.kinds.push(kind),
            }
        }
    }

    /// How many writes wait.
    pub(super) fn len(&self) -> usize {
        self.all().map(Group::len).sum()
    }

    /// How many are to share a transaction.
    pub(super) fn shared(&self) -> usize {
        self.kinds.iter().map(|kind| kind.len()).sum()
    }

    /// Those that are to have one each.
    pub(super) fn apart(&mut self) -> &mut [Box<dyn Group>] {
        &mut self.apart
    }

    /// Whether one of them is to be written.
    pub(super) fn is_open(&self) -> bool {
        self.all().any(|kind| kind.has(State::Open))
    }

    /// Whether one of them has to survive a power failure.
    pub(super) fn is_durable(&self) -> bool {
        self.all().any(Group::is_durable)
    }

    /// Until when the last of them is repeated, if they are.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.all().filter_map(Group::deadline).max()
    }

    /// Runs those that share a transaction until a kind fails. If that is by a fault of its own, it is to be written apart, and
    /// this returns `false`; otherwise the error.
    pub(super) async fn run(&mut self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let shared = self.shared();
        for index in 0..self.kinds.len() {
            let kind = &mut self.kinds[index];
            let Err(error) = kind.run(tx).await else {
                continue;
            };
            self.kinds.iter_mut().for_each(|kind| kind.forget_results());
            if tx.has_deferred_failed() && !is_broken(&error) {
                // It is not known whose it was.
                self.is_careful = true;
                return Ok(false);
            }
            let kind = &mut self.kinds[index];
            let is_its_own = !is_broken(&error);
            let is_too_slow = matches!(error, StoreError::TooSlow);
            if (is_its_own && shared == 1) || (is_too_slow && kind.len() == 1) {
                // It would fail again.
                kind.change(State::Open, State::Settled);
            } else if is_its_own || is_of_a_few(&error) {
                let mut kind = self.kinds.remove(index);
                if !is_its_own {
                    kind.fail(State::Open, Which::Abandoned, &error);
                }
                self.apart.push(kind);
            }
            return if is_its_own { Ok(false) } else { Err(error) };
        }
        tx.write_counts().await?;
        Ok(true)
    }

    /// Those that share a transaction are being committed.
    pub(super) fn committing(&mut self) {
        for kind in &mut self.kinds {
            kind.change(State::Open, State::Committing);
        }
    }

    /// What was being committed was, or was not; the same would fail again with `fault`.
    pub(super) fn resolve(&mut self, committed: bool, fault: Option<&StoreError>) {
        match (committed, fault) {
            (true, _) => self.change(State::Committing, State::Settled),
            (false, Some(fault)) => self.fail_all(State::Committing, fault),
            (false, None) => {
                self.change(State::Committing, State::Open);
                self.kinds.iter_mut().for_each(|kind| kind.forget_results());
            }
        }
    }

    /// What is known to be this failed.
    pub(super) fn fail_all(&mut self, state: State, failure: &StoreError) {
        for kind in self.all_mut() {
            kind.fail(state, Which::All, failure);
        }
    }

    /// What is to be written and would not be until `time` failed; so does what locks the same, and would come before it.
    pub(super) fn fail_open(&mut self, time: Instant, failure: &StoreError) {
        let mut locks = Locks::default();
        for kind in self.all() {
            kind.lock_over(time, &mut locks);
        }
        self.fail_late(time, failure);
        if locks.is_empty() {
            return;
        }
        for kind in self.all_mut() {
            kind.fail(State::Open, Which::Overlapping(&locks), failure);
        }
    }

    /// What is to be written and would not be until `time` failed.
    pub(super) fn fail_late(&mut self, time: Instant, failure: &StoreError) {
        for kind in self.all_mut() {
            kind.fail(State::Open, Which::Late(time), failure);
        }
    }

    /// What was put aside failed if nobody waits for it any more, or too many wait for the same.
    pub(super) fn fail_aside(&mut self, now: Instant, failure: &StoreError) {
        for kind in self.all_mut() {
            kind.fail(State::Open, Which::Abandoned, failure);
            kind.fail_crowd(now, failure);
        }
    }

    /// Of what is being committed and is not settled by `time`, nothing is known.
    pub(super) fn fail_committing(&mut self, time: Instant) {
        let unknown = server::silence();
        for kind in self.all_mut() {
            kind.fail(State::Committing, Which::Over(time), &unknown);
        }
    }

    fn change(&mut self, from: State, to: State) {
        for kind in self.all_mut() {
            kind.change(from, to);
        }
    }

    /// Sends the callers of what is settled what came of it, and forgets it; notifies `wake` if a message may be due then.
    pub(super) fn send_settled(&mut self, wake: &Notify) {
        for kind in self.all_mut() {
            kind.send_settled(wake);
        }
        self.forget_empty();
    }

    fn forget_empty(&mut self) {
        self.kinds.retain(|kind| kind.len() > 0);
        self.apart.retain(|kind| kind.len() > 0);
    }
}

/// Whether two groups are of one kind.
fn is_same(one: &dyn Group, other: &dyn Group) -> bool {
    let kind_of = |group: &dyn Group| (group as &dyn Any).type_id();
    kind_of(one) == kind_of(other)
}
