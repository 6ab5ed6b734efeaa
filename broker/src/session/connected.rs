//! A connected session.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    admitted::Admitted, client::Client, context::Context, cursor_use::CursorUse, end::End,
    guard::SessionGuard, keep_alive::KeepAlive, rate_limit::RateLimit, read::Reading,
    responses::Responses, step::Pause, task::Task,
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
    pub(super) client: Arc<Client>,
    pub(super) state: Box<SessionState>,
    pub(super) guard: SessionGuard,
    pub(super) will: Option<Box<Will>>,
    /// How long the session outlives the connection.
    pub(super) expiry: Duration,
    /// When the token that the client logged in with expires.
    pub(super) token_expires: Option<Instant>,
    /// The packet that is being handled, if that takes time.
    pub(super) task: Option<Task>,
    /// Why the session waits.
    pub(super) pause: Pause,
    /// A read of the inbox that is under way.
    pub(super) reading: Option<Reading>,
    pub(super) cursor: CursorUse,
    pub(super) responses: Responses,
    pub(super) rate_limit: RateLimit,
    /// How many QoS 1 and 2 PUBLISHes to the client it may leave unacknowledged.
    pub(super) window: usize,
    pub(super) keep_alive: KeepAlive,
}

impl Session {
    pub(super) fn new(ctx: Arc<Context>, wire: Box<Wire>, admitted: Admitted) -> Self {
        Self {
            rate_limit: RateLimit::new(ctx.limits.publishes_per_s, Instant::now()),
            ctx,
            wire,
            client: admitted.client,
            state: admitted.state,
            guard: admitted.guard,
            will: admitted.will,
            expiry: admitted.expiry,
            token_expires: admitted.token_expires,
            task: None,
            pause: Pause::Incomplete,
            reading: None,
            cursor: CursorUse::new(),
            responses: Responses::default(),
            window: admitted.receive_maximum.min(RECEIVE_MAXIMUM).into(),
            keep_alive: KeepAlive::new(),
        }
    }

    /// Goes on with a session that was kept.
    pub(super) fn take_up(&mut self) -> Result<(), End> {
        if !self.state.is_present {
            return Ok(());
        }
        self.wire.resume(self.state.received.iter().copied());
        for id in self.state.in_flight.released() {
            self.wire.pubrel(id, true)?;
            self.state.in_flight.sent(id);
        }
        // Some may have been skipped meanwhile, which are not to be sent again.
        self.take_mail()?;
        // It may have been without a connection for long.
        self.use_cursor();
        for granted in &self.state.granted {
            // Live copies, which a session without a connection does not have.
            self.guard.observe(&self.client.identity, granted);
        }
        self.recheck()
    }
}
