//! What turns a message into a result.

use std::{num::NonZeroU32, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_store::Job;

/// Why there is no result. The owner of the message reads `error`, so it names no host and no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It may succeed later; no sooner than `after`, if that is given.
    Retry {
        /// Why it failed.
        error: String,
        /// How long to wait at least, counted from now.
        after: Option<Duration>,
    },
    /// There is nobody to ask, whatever the message: this costs it no attempt, however often. No sooner than `after`, if
    /// that is given.
    Outage {
        /// Why it failed.
        error: String,
        /// How long to wait at least, counted from now.
        after: Option<Duration>,
    },
    /// It never will.
    Final {
        /// Why it failed.
        error: String,
    },
}

/// Turns a message into a result. It may be asked more than once for the same message, whose id is the idempotency key.
pub trait Processor: Send + Sync + 'static {
    /// The result of `job`. May be dropped before its end. A panic is a failed attempt, of which no message dies: what is
    /// wrong with the program says nothing of the message. It is begun where the message is claimed, so its first part, up to where
    /// it waits, must be short.
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, Failure>>;

    /// Waits until it makes sense to claim a message, and returns how many may then be under way at once, those that
    /// already are included. Asked before each claim; what is waited for here costs no message an attempt. The answer
    /// reserves nothing, and may be dropped before its end.
    fn ready(&self) -> BoxFuture<'_, NonZeroU32> {
        std::future::ready(NonZeroU32::MAX).boxed()
    }

    /// Whether another message may begin now, however many are under way, without waiting for [`ready`](Self::ready): asked for
    /// each that may begin as it is accepted.
    fn is_ready(&self) -> bool {
        false
    }
}

/// The built-in processor: the result is the message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Processor for Echo {
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, Failure>> {
        async { Ok(job.body.clone()) }.boxed()
    }

    fn is_ready(&self) -> bool {
        true
    }
}
