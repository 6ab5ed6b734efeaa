//! What turns a message into a result.

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_store::Job;

/// The processor cannot make a result of this message; its owner reads why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProcessError(pub String);

/// Turns a message into a result. It may be asked more than once for the same message, whose id is the idempotency key.
pub trait Processor: Send + Sync + 'static {
    /// The result of `job`.
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, ProcessError>>;
}

/// The built-in processor: the result is the message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Processor for Echo {
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, ProcessError>> {
        async { Ok(job.body.clone()) }.boxed()
    }
}
