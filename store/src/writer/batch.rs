//! Writes that share a transaction, those of a kind together.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::{AnyConnection, Connection};
use tokio::sync::oneshot;

use super::locks::Locks;
use super::operation::{Operation, WriteResult};
use super::transaction::{Transaction, TransactionKind};
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
    /// Whether nothing changes the result any more.
    settled: bool,
    caller: oneshot::Sender<WriteResult<O>>,
}

impl<O: Operation> Waiting<O> {
    pub(super) fn new(operation: O, caller: oneshot::Sender<WriteResult<O>>) -> Self {
        Self {
            operation,
            result: Err(StoreError::Closed),
            settled: false,
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

    /// Locks what they lock, then runs all until one fails; then it returns `false`, or the error if it is no fault of its
    /// own: on this connection, others would fail, too.
    pub(super) async fn run(&mut self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let mut locks = Locks::default();
        for kind in &self.kinds {
            kind.lock(&mut locks);
        }
        tx.lock(&locks).await?;
        for kind in &mut self.kinds {
            match kind.run(tx).await {
                Ok(()) => {}
                Err(error) if is_broken(&error) => return Err(error),
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Runs each in a transaction of its own, until one fails that is no fault of its own.
    pub(super) async fn run_each(
        &mut self,
        conn: &mut AnyConnection,
        kind: TransactionKind,
    ) -> Result<(), StoreError> {
        for group in &mut self.kinds {
            group.run_each(conn, kind).await?;
        }
        Ok(())
    }

    /// They are committed, with the results that they have.
    pub(super) fn committed(&mut self) {
        for kind in &mut self.kinds {
            kind.settle(None);
        }
    }

    /// Those that are not committed failed.
    pub(super) fn fail_rest(&mut self, failure: &StoreError) {
        for kind in &mut self.kinds {
            kind.settle(Some(failure));
        }
    }

    /// Sends each caller what came of its write.
    pub(super) fn send_results(self) {
        for kind in self.kinds {
            kind.send_results();
        }
    }
}

/// Writes of one kind.
trait Group: Any + Send {
    fn len(&self) -> usize;
    fn is_durable(&self) -> bool;
    fn wakes_worker(&self) -> bool;
    fn lock(&self, locks: &mut Locks);
    /// Runs all and remembers how that went.
    fn run<'a>(&'a mut self, tx: &'a mut Transaction<'_>) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Runs each in a transaction of its own.
    fn run_each<'a>(
        &'a mut self,
        conn: &'a mut AnyConnection,
        kind: TransactionKind,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Settles those that are not, with the results that they have or with the failure.
    fn settle(&mut self, failure: Option<&StoreError>);
    fn send_results(self: Box<Self>);
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
            waiting.settled && outcome.is_ok_and(|output| waiting.operation.wakes_worker(output))
        })
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
        conn: &'a mut AnyConnection,
        kind: TransactionKind,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            for waiting in &mut self.0 {
                waiting.result = run_alone(&waiting.operation, conn, kind).await;
                if let Err(error) = &waiting.result
                    && is_broken(error)
                {
                    return Err(error.clone());
                }
                waiting.settled = true;
            }
            Ok(())
        }
        .boxed()
    }

    fn settle(&mut self, failure: Option<&StoreError>) {
        for waiting in self.0.iter_mut().filter(|waiting| !waiting.settled) {
            waiting.settled = true;
            if let Some(failure) = failure {
                waiting.result = Err(failure.clone());
            }
        }
    }

    fn send_results(self: Box<Self>) {
        for waiting in self.0 {
            // A caller that has stopped waiting does not undo what was written.
            let _ = waiting.caller.send(waiting.result);
        }
    }
}

/// Runs a write in a transaction of its own.
async fn run_alone<O: Operation>(
    operation: &O,
    conn: &mut AnyConnection,
    kind: TransactionKind,
) -> WriteResult<O> {
    let mut begun = conn.begin_with(kind.begin()).await?;
    let mut tx = Transaction::new(&mut begun, kind.dialect);
    let mut locks = Locks::default();
    operation.lock(&mut locks);
    let locked = tx.lock(&locks).await;
    let result = match locked {
        Ok(()) => unless_panicked(operation.run(&mut tx)).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(output) => {
            begun.commit().await?;
            Ok(output)
        }
        Err(error) if is_broken(&error) => Err(error),
        Err(error) => {
            begun.rollback().await?;
            Err(error)
        }
    }
}

async fn unless_panicked<T>(
    run: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let run = AssertUnwindSafe(run).catch_unwind();
    run.await.unwrap_or(Err(StoreError::Panicked))
}

/// Whether it is no fault of an operation's own: the connection may be unable to write from now on, as one is that was opened
/// while the file was read-only, or the whole transaction was undone.
fn is_broken(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Storage { .. }
            | StoreError::Unreachable { .. }
            | StoreError::Conflict
            // Others would wait as long again.
            | StoreError::Locked
            | StoreError::TooSlow
    )
}
