//! What a read of the inbox brings.

use futures_util::future::BoxFuture;

use crate::{
    host::{Batch, HostError},
    user_bytes::Held,
};

/// A read that is under way.
pub(super) type Reading = BoxFuture<'static, Result<ReadBatch, HostError>>;

/// What was read, and what it takes of the user's bytes.
pub(super) struct ReadBatch {
    pub(super) batch: Batch,
    pub(super) held: Held,
}
