//! The writes of a batch that are of one kind.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::connection::Connection;
use super::failure::{Doubt, Failure, is_broken};
use super::locks::Locks;
use super::operation::Operation;
use super::patience::{LEAST_ALONE, answered};
use super::transaction::{Transaction, TransactionKind};
use super::waiting::{State, Waiting};
use crate::StoreError;

/// Which writes, by what is known of them and until when they are repeated.
pub(super) type Which<'a> = &'a dyn Fn(State, Option<Instant>) -> bool;

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
    /// Runs each that is open in a transaction of its own, settles it and sends its caller what came of it, until one fails
    /// that is no fault of its own.
    fn run_each<'a>(
        &'a mut self,
        conn: &'a mut Connection,
        kind: TransactionKind,
        doubt: &'a mut Option<Doubt>,
        wake: &'a Notify,
    ) -> BoxFuture<'a, Result<(), Failure>>;
    /// Those of which the one is known are the other from now on.
    fn change(&mut self, from: State, to: State);
    /// Settles those that failed.
    fn fail(&mut self, which: Which<'_>, failure: &StoreError);
    /// Sends the callers of what is settled what came of it, and forgets it; notifies `wake` if a message may be due then.
    fn send_settled(&mut self, wake: &Notify);
}

pub(super) struct Kind<O: Operation>(pub(super) Vec<Waiting<O>>);

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

    fn run_each<'a>(
        &'a mut self,
        conn: &'a mut Connection,
        kind: TransactionKind,
        doubt: &'a mut Option<Doubt>,
        wake: &'a Notify,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let is_open = |waiting: &&mut Waiting<O>| waiting.state == State::Open;
            while let Some(waiting) = self.0.iter_mut().find(is_open) {
                if waiting.is_late(Instant::now() + LEAST_ALONE) {
                    waiting.result = Err(StoreError::Busy);
                } else {
                    run_alone(waiting, conn, kind, doubt).await?;
                }
                waiting.state = State::Settled;
                self.send_settled(wake);
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

    fn fail(&mut self, which: Which<'_>, failure: &StoreError) {
        for waiting in &mut self.0 {
            if which(waiting.state, waiting.deadline) {
                waiting.state = State::Settled;
                waiting.result = Err(failure.clone());
            }
        }
    }

    fn send_settled(&mut self, wake: &Notify) {
        let settled = |waiting: &mut Waiting<O>| waiting.state == State::Settled;
        for waiting in self.0.extract_if(.., settled) {
            let outcome = waiting.result.as_ref();
            if outcome.is_ok_and(|output| waiting.operation.wakes_worker(output)) {
                wake.notify_one();
            }
            // A caller that has stopped waiting does not undo what was written.
            let _ = waiting.caller.send(waiting.result);
        }
    }
}

/// Runs a write in a transaction of its own. Fails if that is no fault of its own.
async fn run_alone<O: Operation>(
    waiting: &mut Waiting<O>,
    conn: &mut Connection,
    kind: TransactionKind,
    doubt: &mut Option<Doubt>,
) -> Result<(), Failure> {
    let before_commit = |error| Failure::before_commit(error, kind.dialect);
    let (mut begun, mark) = conn.begin(kind).await.map_err(before_commit)?;
    let mut tx = Transaction::new(&mut begun, kind.dialect);
    let mut locks = Locks::default();
    waiting.operation.lock(&mut locks);
    let locked = tx.lock(&locks).await;
    waiting.result = match locked {
        Ok(()) => unless_panicked(run_and_count(&waiting.operation, &mut tx)).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &waiting.result {
        if is_broken(error) {
            return Err(before_commit(error.clone()));
        }
        let undone = answered(kind.dialect, begun.rollback()).await;
        return undone.map_err(before_commit);
    }
    waiting.state = State::Committing;
    *doubt = mark.map(Doubt::of);
    match answered(kind.dialect, begun.commit()).await {
        Ok(()) => *doubt = None,
        // Of a file, its own fault is known at once.
        Err(error) if doubt.is_none() && !is_broken(&error) => waiting.result = Err(error),
        Err(error) => return Err(Doubt::commit_failed(doubt, error)),
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
