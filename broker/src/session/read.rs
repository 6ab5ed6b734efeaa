//! What the host is asked about the inbox.

use futures_util::future::BoxFuture;

use crate::{
    host::{Batch, HostError, Position},
    user_bytes::Held,
    wire::Reason,
};

/// Where the inbox begins, once the host has looked.
pub(crate) type Locating = BoxFuture<'static, Result<Position, HostError>>;

/// What came of that; first, why the session must end before.
pub(crate) type Located = Result<Result<Position, HostError>, Reason>;

/// A read that is under way.
pub(crate) type Reading = BoxFuture<'static, Result<ReadBatch, HostError>>;

/// What was read, and what it takes of the user's bytes.
pub(crate) struct ReadBatch {
    pub(super) batch: Batch,
    pub(super) held: Held,
}
