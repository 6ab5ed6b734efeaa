//! What the writer is handed.

use std::future::Future;

use super::locks::Locks;
use super::transaction::Transaction;
use crate::StoreError;

/// Which of the two connections that write to a server. What takes the same one is written in the order in which it was queued.
/// Between the two there is no order but that of locks, as between two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Of what has to survive a power failure, and so waits for the disk.
    Durable,
    /// Of the rest, which does not wait for that.
    Soft,
}

/// A write.
pub(crate) trait Operation: Send + Sync + Sized + 'static {
    /// What its caller learns once it is written.
    type Output: Send + 'static;

    /// Whether its caller waits until it survives a power failure. Otherwise it may be undone by one, but only
    /// together with all that was written after it.
    const DURABLE: bool = true;

    /// Which connection it takes to a server.
    const CHANNEL: Channel = if Self::DURABLE {
        Channel::Durable
    } else {
        Channel::Soft
    };

    /// Whether users make as many of them as they like: then only a few with the same locks wait for what others have locked
    /// for long, as each that waits keeps somebody out.
    const FEW_WAIT: bool = false;

    /// Adds what no other writer may change from before this reads until it is committed.
    fn lock(&self, _locks: &mut Locks) {}

    /// Does the write, in a transaction that others share: in phases, each of which is a script that reads or writes, with
    /// what is decided between them in plain Rust. If it fails, none of it is kept.
    ///
    /// May be run more than once: only the last run is kept, the others leave no trace in the
    /// database and must leave none elsewhere.
    fn run(
        &self,
        tx: &mut Transaction<'_>,
    ) -> impl Future<Output = Result<Self::Output, StoreError>> + Send;

    /// Does several, with the same result as one after the other, and returns the output of each. What joins its phases
    /// hands over one script where each alone would hand over its own.
    fn run_all(
        all: &[&Self],
        tx: &mut Transaction<'_>,
    ) -> impl Future<Output = Result<Vec<Self::Output>, StoreError>> + Send {
        async move {
            let mut outputs = Vec::with_capacity(all.len());
            for operation in all {
                outputs.push(operation.run(tx).await?);
            }
            Ok(outputs)
        }
    }

    /// Whether a message may be due after the write was committed with this output.
    fn wakes_worker(&self, _output: &Self::Output) -> bool {
        false
    }

    /// Called once after it was committed, before the caller learns of it. Must not wait, nor panic.
    fn committed(&self, _output: &mut Self::Output) {}

    /// Whether a write with this output changes something, so that the audit has to record it.
    fn changes(_output: &Self::Output) -> bool {
        true
    }

    /// The id of what it makes.
    fn makes(&self) -> Option<&str> {
        None
    }
}

/// What came of a write.
pub(super) type WriteResult<O> = Result<<O as Operation>::Output, StoreError>;
