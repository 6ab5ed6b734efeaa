//! A connected session.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    admitted::Admitted, client::Client, context::Context, cursor_use::CursorUse,
    guard::SessionGuard, keep_alive::KeepAlive, rate_limit::RateLimit, read::Reading,
    responses::Responses, slice::Slice,
};
use crate::{
    limits::RECEIVE_MAXIMUM,
    state::{SessionState, Will},
    wire::Wire,
};

/// A connected session, apart from its socket: what is to be sent is in `wire`.
pub(super) struct Session {
    pub(super) ctx: Arc<Context>,
    pub(super) wire: Box<Wire>,
    pub(super) client: Client,
    pub(super) state: Box<SessionState>,
    pub(super) guard: SessionGuard,
    pub(super) will: Option<Box<Will>>,
    /// How long the session outlives the connection.
    pub(super) expiry: Duration,
    /// When the token that the client logged in with expires.
    pub(super) token_expires: Option<Instant>,
    /// A read of the inbox that is under way.
    pub(super) reading: Option<Reading>,
    pub(super) cursor: CursorUse,
    pub(super) responses: Responses,
    pub(super) rate_limit: RateLimit,
    pub(super) slice: Slice,
    /// How many QoS 1 and 2 PUBLISHes to the client it may leave unacknowledged.
    pub(super) window: usize,
    pub(super) keep_alive: KeepAlive,
}

impl Session {
    pub(super) fn new(ctx: Arc<Context>, wire: Box<Wire>, admitted: Admitted) -> Self {
        Self {
            rate_limit: RateLimit::new(ctx.limits.publishes_per_s, Instant::now()),
            slice: Slice::new(),
            ctx,
            wire,
            client: admitted.client,
            state: admitted.state,
            guard: admitted.guard,
            will: admitted.will,
            expiry: admitted.expiry,
            token_expires: admitted.token_expires,
            reading: None,
            cursor: CursorUse::new(),
            responses: Responses::default(),
            window: admitted.receive_maximum.min(RECEIVE_MAXIMUM).into(),
            keep_alive: KeepAlive::new(),
        }
    }
}
