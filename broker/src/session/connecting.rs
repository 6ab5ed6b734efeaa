//! A connection before CONNACK.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{
    admitted::Admission,
    connect::admit,
    connected::Session,
    context::Context,
    end::End,
    step::{Event, Events, Step, Wait},
};
use crate::{
    live_sessions::Origin,
    wire::{Incoming, Reason, Wire},
};

/// A client that is not known yet.
pub(super) struct Connecting {
    pub(super) ctx: Arc<Context>,
    pub(super) wire: Box<Wire>,
    origin: Origin,
    /// When it must be known.
    deadline: Instant,
    /// CONNECT has come.
    admitting: Option<BoxFuture<'static, Admission>>,
}

/// Why a connection never became a session.
pub(super) enum Refusal {
    /// CONNACK has the reason.
    Refused(Reason),
    Ended(End),
    /// It took too long, or the broker stops.
    TooLate,
}

/// What a connection is after an event.
pub(super) enum Outcome {
    Connecting(Box<Connecting>),
    Session(Box<Session>),
    Refused(Box<Connecting>, Refusal),
}

impl Connecting {
    pub(super) fn new(ctx: Arc<Context>, origin: Origin, deadline: Instant) -> Self {
        Self {
            wire: Box::new(Wire::new(ctx.limits.packet_bytes)),
            ctx,
            origin,
            deadline,
            admitting: None,
        }
    }

    /// Looks for CONNECT, which must be the first packet.
    pub(super) fn step(&mut self) -> Result<Step, Refusal> {
        if self.admitting.is_none() && self.wire.has_unread() {
            match self.wire.next_packet().map_err(End::from)? {
                Some(Incoming::Connect(connect)) => {
                    let (ctx, origin, v5) = (self.ctx.clone(), self.origin, self.wire.is_v5());
                    let admitting = async move { admit(&ctx, &connect, origin, v5).await };
                    self.admitting = Some(Box::pin(admitting));
                }
                Some(_) => return Err(End::Server(Reason::ProtocolError).into()),
                None => {}
            }
        }
        let moves = self.admitting.is_none();
        Ok(Step::Wait(Wait {
            reads: moves,
            writes: moves,
            until: Some(self.deadline),
        }))
    }

    /// The protocol state, and where events come from apart from it.
    pub(super) fn split(&mut self) -> (&mut Wire, Events<'_>) {
        let events = Events::Connecting {
            admitting: self.admitting.as_mut(),
            stop: &self.ctx.stop,
        };
        (&mut self.wire, events)
    }

    /// Something has happened.
    pub(super) fn happened(mut self: Box<Self>, event: Event) -> Outcome {
        match event {
            Event::Admitted(Ok((admitted, properties))) => {
                if let Err(closed) = self.wire.accept(properties) {
                    let ctx = self.ctx.clone();
                    let hand_back = async move { admitted.hand_back(&ctx).await };
                    self.ctx.tasks.spawn(hand_back);
                    return Outcome::Refused(self, End::from(closed).into());
                }
                self.ctx.metrics.connects.add(1);
                tracing::debug!(peer = %self.origin.peer, user = %admitted.client.identity.username, client_id = ?admitted.client.id, session_present = admitted.state.is_present, "session began");
                Outcome::Session(Box::new(Session::new(self.ctx, self.wire, admitted)))
            }
            Event::Admitted(Err((reason, text))) => {
                self.wire.refuse(reason, &text);
                Outcome::Refused(self, Refusal::Refused(reason))
            }
            Event::Deadline | Event::Stop => Outcome::Refused(self, Refusal::TooLate),
            _ => Outcome::Connecting(self),
        }
    }

    /// There will be no session. Returns what is still to be sent, unless nothing is.
    pub(super) fn refuse(mut self, refusal: &Refusal) -> Option<Vec<u8>> {
        self.ctx.metrics.connects_refused.add(1);
        tracing::debug!(peer = %self.origin.peer, reason = %refusal, "connection refused");
        let can_send = !matches!(refusal, Refusal::TooLate);
        can_send.then(|| std::mem::take(self.wire.output()))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "{reason:?}"),
            Self::Ended(end) => end.fmt(f),
            Self::TooLate => f.write_str("no CONNECT in time"),
        }
    }
}

impl From<End> for Refusal {
    fn from(end: End) -> Self {
        Self::Ended(end)
    }
}
