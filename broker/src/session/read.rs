//! What the host is asked about the inbox.

use futures_util::future::BoxFuture;

use crate::{
    host::{Batch, HostError, Position},
    user_bytes::Held,
    wire::Reason,
};

/// Where the inbox begins, once the host has looked.
pub(super) type Locating = BoxFuture<'static, Result<Position, HostError>>;

/// What came of that; first, why the session must end before.
pub(super) type Located = Result<Result<Position, HostError>, Reason>;

/// A read that is under way.
pub(super) type Reading = BoxFuture<'static, Result<ReadBatch, HostError>>;

/// What was read, and what it takes of the user's bytes.
pub(super) struct ReadBatch {
    pub(super) batch: Batch,
    pub(super) held: Held,
}
