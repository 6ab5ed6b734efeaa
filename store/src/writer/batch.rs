//! Writes that share a transaction, those of a kind together.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::{AnyConnection, Connection};
use tokio::sync::oneshot;

use super::operation::{Operation, WriteResult};
use crate::StoreError;

/// A write in the queue.
pub(super) trait Queued: Send {
    /// Puts it with those of its kind.
    fn join(self: Box<Self>, batch: &mut Batch);
}

/// A write and who waits for it.
pub(super) struct Waiting<O: Operation> {
    operation: O,
    result: WriteResult<O>,
    caller: oneshot::Sender<WriteResult<O>>,
}

impl<O: Operation> Waiting<O> {
    pub(super) fn new(operation: O, caller: oneshot::Sender<WriteResult<O>>) -> Self {
        Self {
            operation,
            result: Err(StoreError::Closed),
            caller,
        }
    }
}

impl<O: Operation> Queued for Waiting<O> {
    fn join(self: Box<Self>, batch: &mut Batch) {
        batch.kind::<O>().0.push(*self);
    }
}

/// Writes that share a transaction.
pub(super) struct Batch {
    kinds: Vec<Box<dyn Group>>,
}

impl Batch {
    pub(super) fn of(queued: impl Iterator<Item = Box<dyn Queued>>) -> Self {
        let mut batch = Self { kinds: vec![] };
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

    /// Whether there is one write only.
    pub(super) fn is_single(&self) -> bool {
        self.kinds.iter().map(|kind| kind.len()).sum::<usize>() == 1
    }

    /// Whether one of them has to survive a power failure.
    pub(super) fn is_durable(&self) -> bool {
        self.kinds.iter().any(|kind| kind.is_durable())
    }

    /// Whether a message may be due now that they are committed.
    pub(super) fn wakes_worker(&self) -> bool {
        self.kinds.iter().any(|kind| kind.wakes_worker())
    }

    /// Runs all, until one fails; then it returns `false`, or the error if it is no fault of its own: on this
    /// connection, others would fail, too.
    pub(super) async fn run(&mut self, conn: &mut AnyConnection) -> Result<bool, StoreError> {
        for kind in &mut self.kinds {
            match kind.run(conn).await {
                Ok(()) => {}
                Err(error) if is_broken(&error) => return Err(error),
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Runs one by one. Those that fail are undone alone.
    pub(super) async fn run_each(&mut self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        for kind in &mut self.kinds {
            kind.run_each(conn).await?;
        }
        Ok(())
    }

    /// Sends each caller what came of its write, or that the commit failed.
    pub(super) fn send_results(self, failure: Option<&StoreError>) {
        for kind in self.kinds {
            kind.send_results(failure);
        }
    }
}

/// Writes of one kind.
trait Group: Any + Send {
    fn len(&self) -> usize;
    fn is_durable(&self) -> bool;
    fn wakes_worker(&self) -> bool;
    /// Runs all and remembers how that went.
    fn run<'a>(&'a mut self, conn: &'a mut AnyConnection) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Runs each under a savepoint of its own.
    fn run_each<'a>(
        &'a mut self,
        conn: &'a mut AnyConnection,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
    fn send_results(self: Box<Self>, failure: Option<&StoreError>);
}

struct Kind<O: Operation>(Vec<Waiting<O>>);

impl<O: Operation> Group for Kind<O> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_durable(&self) -> bool {
        O::DURABLE
    }

    fn wakes_worker(&self) -> bool {
        self.0.iter().any(|waiting| {
            let outcome = waiting.result.as_ref();
            outcome.is_ok_and(|output| waiting.operation.wakes_worker(output))
        })
    }

    fn run<'a>(&'a mut self, conn: &'a mut AnyConnection) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let all: Vec<_> = self.0.iter().map(|waiting| &waiting.operation).collect();
            let run = AssertUnwindSafe(O::run_all(&all, conn)).catch_unwind();
            match run.await.unwrap_or(Err(StoreError::Panicked)) {
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
        conn: &'a mut AnyConnection,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            for waiting in &mut self.0 {
                let mut savepoint = conn.begin().await?;
                let run = AssertUnwindSafe(waiting.operation.run(&mut savepoint)).catch_unwind();
                waiting.result = run.await.unwrap_or(Err(StoreError::Panicked));
                match &waiting.result {
                    Ok(_) => savepoint.commit().await?,
                    Err(error) if is_broken(error) => return Err(error.clone()),
                    Err(_) => savepoint.rollback().await?,
                }
            }
            Ok(())
        }
        .boxed()
    }

    fn send_results(self: Box<Self>, failure: Option<&StoreError>) {
        for waiting in self.0 {
            let outcome = match failure {
                Some(failure) => Err(failure.clone()),
                None => waiting.result,
            };
            // A caller that has stopped waiting does not undo what was written.
            let _ = waiting.caller.send(outcome);
        }
    }
}

/// Whether the connection may be unable to write from now on, as one is that was opened while the file was read-only.
fn is_broken(error: &StoreError) -> bool {
    matches!(error, StoreError::Storage { .. })
}
