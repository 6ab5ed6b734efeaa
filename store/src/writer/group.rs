//! The writes of a batch that are of one kind.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::connection::Connection;
use super::failure::{Doubt, Failure, is_broken};
use super::locks::Locks;
use super::operation::Operation;
use super::patience::LEAST_ALONE;
use super::transaction::{Transaction, TransactionKind};
use super::waiting::{State, Waiting};
use crate::StoreError;

/// After how long others are taken to stay in the way for long; how many writes with the same locks wait for them then, and how
/// many in all. The rest is refused at once: it would keep those out that nobody is in the way of.
const LONG: Duration = Duration::from_secs(2);
const FEW: usize = 4;
const MANY: usize = 256;

/// Writes that each have a transaction of their own.
pub(super) struct Round<'a> {
    pub(super) conn: &'a mut Connection,
    pub(super) kind: TransactionKind,
    pub(super) doubt: &'a mut Option<Doubt>,
    pub(super) wake: &'a Notify,
    /// What those lock that others were in the way of. What locks any of it, too, is to come after them; what locks nothing has
    /// no order.
    pub(super) passed_over: Locks,
    /// What is not begun by then waits for the next round, if others are in the way.
    pub(super) until: Option<Instant>,
}

/// Which writes.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    All,
    /// Those that are not begun any more at that time.
    Late(Instant),
    /// Those that are not repeated any more at that time.
    Over(Instant),
    /// Those that nobody waits for.
    Abandoned,
    /// Those that lock some of it.
    Overlapping(&'a Locks),
}

/// Writes of one kind.
pub(super) trait Group: Any + Send {
    fn len(&self) -> usize;
    /// Whether one is known to be this.
    fn has(&self, state: State) -> bool;
    fn is_durable(&self) -> bool;
    /// Until when the last is repeated.
    fn deadline(&self) -> Option<Instant>;
    fn lock(&self, locks: &mut Locks);
    /// Runs all and remembers how that went.
    fn run<'a>(&'a mut self, tx: &'a mut Transaction<'_>) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Lets go of what came of a run of those that are open, as it was undone.
    fn forget_results(&mut self);
    /// Runs each in a transaction of its own, settles it and sends its caller what came of it. Those that others are in the way
    /// of are passed over and stay open. Ends as soon as nothing can be written any more.
    fn run_each<'a>(&'a mut self, round: &'a mut Round<'_>) -> BoxFuture<'a, Result<(), Failure>>;
    /// Those of which the one is known are the other from now on.
    fn change(&mut self, from: State, to: State);
    /// Adds what those lock that are open and not repeated any more at `time`.
    fn lock_over(&self, time: Instant, locks: &mut Locks);
    /// What the one at `index` locks.
    fn locks_of(&self, index: usize) -> Locks;
    /// Settles as failed those of which this is known and `which` is true.
    fn fail(&mut self, of: State, which: Which<'_>, failure: &StoreError);
    /// Settles as failed those that would be a crowd before what others have locked for long.
    fn fail_crowd(&mut self, now: Instant, failure: &StoreError);
    /// Takes out those that lock some of it, and what locks the same as these and comes after them.
    fn take_behind(&mut self, locks: Locks) -> Box<dyn Group>;
    /// Takes out those after the first `count`.
    fn take_beyond(&mut self, count: usize) -> Box<dyn Group>;
    /// Adds those of another group of this kind at the end.
    fn append(&mut self, other: Box<dyn Group>);
    /// Sends the callers of what is settled what came of it, and forgets it; notifies `wake` if a message may be due then.
    fn send_settled(&mut self, wake: &Notify);
}

pub(super) struct Kind<O: Operation>(pub(super) Vec<Waiting<O>>);

impl<O: Operation> Kind<O> {
    /// Moves the first of them to the end, and then what has to come after them: the rest has its turn before.
    fn move_back(&mut self, count: usize, locks: &Locks) {
        let mut behind: Vec<_> = self.0.drain(..count).collect();
        behind.append(&mut self.extract_behind(locks.clone()));
        self.0.append(&mut behind);
    }

    /// Takes out those that lock some of it, and what locks the same as these and comes after them.
    fn extract_behind(&mut self, mut locks: Locks) -> Vec<Waiting<O>> {
        let is_behind = |waiting: &mut Waiting<O>| {
            let own = waiting.locks();
            let is_behind = locks.overlap(&own);
            if is_behind {
                locks.add(own);
            }
            is_behind
        };
        self.0.extract_if(.., is_behind).collect()
    }
}

impl<O: Operation> Group for Kind<O> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn has(&self, state: State) -> bool {
        self.0.iter().any(|waiting| waiting.state == state)
    }

    fn is_durable(&self) -> bool {
        O::DURABLE
    }

    fn deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(|waiting| waiting.deadline).max()
    }

    fn lock(&self, locks: &mut Locks) {
        for waiting in &self.0 {
            waiting.operation.lock(locks);
        }
    }

    fn run<'a>(&'a mut self, tx: &'a mut Transaction<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let all: Vec<_> = self.0.iter().map(|waiting| &waiting.operation).collect();
            match unless_panicked(O::run_all(&all, tx)).await {
                Ok(outputs) => {
                    debug_assert_eq!(outputs.len(), self.0.len());
                    for (waiting, output) in self.0.iter_mut().zip(outputs) {
                        waiting.result = Ok(output);
                    }
                    Ok(())
                }
                Err(error) => {
                    for waiting in &mut self.0 {
                        waiting.result = Err(error.clone());
                    }
                    Err(error)
                }
            }
        }
        .boxed()
    }

    fn forget_results(&mut self) {
        for waiting in &mut self.0 {
            if waiting.state == State::Open && waiting.result.is_ok() {
                waiting.result = Err(StoreError::Closed);
            }
        }
    }

    fn run_each<'a>(&'a mut self, round: &'a mut Round<'_>) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let mut next = 0;
            while let Some(waiting) = self.0.get_mut(next) {
                let locks = waiting.locks();
                if round.until.is_some_and(|until| until <= Instant::now()) {
                    self.move_back(next, &round.passed_over);
                    return Ok(());
                }
                if round.passed_over.overlap(&locks) {
                    round.passed_over.add(locks);
                    next += 1;
                    continue;
                }
                if waiting.is_late(Instant::now() + LEAST_ALONE) {
                    waiting.result = Err(StoreError::Busy);
                } else if let Err(failure) = run_alone(waiting, &locks, round).await {
                    let error = failure.error.clone();
                    round.pass_over(locks, failure).await?;
                    // What is too slow by itself would be so again.
                    let is_over = matches!(error, StoreError::TooSlow);
                    if !is_over && !waiting.caller.is_closed() {
                        next += 1;
                        continue;
                    }
                    waiting.result = Err(error);
                }
                waiting.state = State::Settled;
                self.send_settled(round.wake);
            }
            Ok(())
        }
        .boxed()
    }

    fn change(&mut self, from: State, to: State) {
        for waiting in self.0.iter_mut().filter(|waiting| waiting.state == from) {
            waiting.state = to;
        }
    }

    fn lock_over(&self, time: Instant, locks: &mut Locks) {
        for waiting in &self.0 {
            if waiting.state == State::Open && waiting.is_over(time) {
                waiting.operation.lock(locks);
            }
        }
    }

    fn locks_of(&self, index: usize) -> Locks {
        self.0.get(index).map(Waiting::locks).unwrap_or_default()
    }

    fn fail(&mut self, of: State, which: Which<'_>, failure: &StoreError) {
        for waiting in self.0.iter_mut().filter(|waiting| waiting.state == of) {
            if which.has(waiting) {
                waiting.settle(failure);
            }
        }
    }

    fn fail_crowd(&mut self, now: Instant, failure: &StoreError) {
        let mut crowds = BTreeMap::new();
        let mut all = 0;
        // What was dropped just now is nobody's first.
        let open = self
            .0
            .iter_mut()
            .filter(|waiting| waiting.state == State::Open);
        for waiting in open {
            let since = *waiting.aside_since.get_or_insert(now);
            if !O::FEW_WAIT {
                continue;
            }
            let (first, count) = crowds.entry(waiting.locks()).or_insert((since, 0));
            if now.duration_since(*first) < LONG {
                continue;
            }
            if *count < FEW && all < MANY {
                *count += 1;
                all += 1;
            } else {
                waiting.settle(failure);
            }
        }
    }

    fn take_behind(&mut self, locks: Locks) -> Box<dyn Group> {
        Box::new(Self(self.extract_behind(locks)))
    }

    fn take_beyond(&mut self, count: usize) -> Box<dyn Group> {
        Box::new(Self(self.0.split_off(count.min(self.0.len()))))
    }

    fn append(&mut self, other: Box<dyn Group>) {
        let other: Box<dyn Any> = other;
        if let Ok(other) = other.downcast::<Self>() {
            self.0.extend(other.0);
        }
    }

    fn send_settled(&mut self, wake: &Notify) {
        let settled = |waiting: &mut Waiting<O>| waiting.state == State::Settled;
        for mut waiting in self.0.extract_if(.., settled) {
            if let Ok(output) = &mut waiting.result {
                if waiting.operation.wakes_worker(output) {
                    wake.notify_one();
                }
                waiting.operation.committed(output);
            }
            // A caller that has stopped waiting does not undo what was written.
            let _ = waiting.caller.send(waiting.result);
        }
    }
}

impl Which<'_> {
    fn has<O: Operation>(&self, waiting: &Waiting<O>) -> bool {
        match self {
            Self::All => true,
            Self::Late(time) => waiting.is_late(*time),
            Self::Over(time) => waiting.is_over(*time),
            Self::Abandoned => waiting.caller.is_closed(),
            Self::Overlapping(locks) => locks.overlap(&waiting.locks()),
        }
    }
}

impl Round<'_> {
    /// Passes over a write that others were in the way of, if the connection can still be used.
    async fn pass_over(&mut self, locks: Locks, failure: Failure) -> Result<(), Failure> {
        if self.doubt.is_some() || !failure.is_in_the_way() {
            return Err(failure);
        }
        let undone = self.conn.undo().await;
        undone.map_err(|error| Failure::before_commit(error, self.kind.dialect))?;
        self.passed_over.add(locks);
        Ok(())
    }
}

/// Runs a write in a transaction of its own. Fails if that is no fault of its own.
async fn run_alone<O: Operation>(
    waiting: &mut Waiting<O>,
    locks: &Locks,
    round: &mut Round<'_>,
) -> Result<(), Failure> {
    let kind = round.kind;
    let before_commit = |error| Failure::before_commit(error, kind.dialect);
    let (mut tx, mark) = round.conn.begin(kind).await.map_err(before_commit)?;
    let locked = match kind.haste {
        None => tx.lock(locks).await.map(|()| false),
        Some(_) => tx.lock_free(locks).await.map(|locked| !locked.is_empty()),
    };
    waiting.result = match locked {
        Ok(false) => unless_panicked(run_and_count(&waiting.operation, &mut tx)).await,
        Ok(true) => Err(StoreError::Locked),
        Err(error) => Err(error),
    };
    if let Err(error) = &waiting.result {
        if is_broken(error) {
            return Err(before_commit(error.clone()));
        }
        return tx.rollback().await.map_err(before_commit);
    }
    waiting.state = State::Committing;
    *round.doubt = mark.map(Doubt::of);
    match tx.commit().await {
        Ok(()) => *round.doubt = None,
        // Of a file, its own fault is known at once.
        Err(error) if round.doubt.is_none() && !is_broken(&error) => waiting.result = Err(error),
        Err(error) => return Err(Doubt::commit_failed(round.doubt, error)),
    }
    Ok(())
}

async fn run_and_count<O: Operation>(
    operation: &O,
    tx: &mut Transaction<'_>,
) -> Result<O::Output, StoreError> {
    let output = operation.run(tx).await?;
    tx.write_counts().await?;
    Ok(output)
}

async fn unless_panicked<T>(
    run: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let run = AssertUnwindSafe(run).catch_unwind();
    run.await.unwrap_or(Err(StoreError::Panicked))
}
