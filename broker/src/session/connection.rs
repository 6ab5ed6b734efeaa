//! One client's connection, apart from the stream that carries its bytes.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use super::{
    connected::Session,
    connecting::{Connecting, Outcome, Refusal},
    context::Context,
    end::End,
    slice::Slice,
    step::{Event, Events, Step},
};
use crate::{live_sessions::Origin, wire::Wire};

/// One client from its first byte to its last, without any I/O of its own: what comes from the client is [received](Self::receive),
/// what goes to it is [taken](Self::take_output), and between both whoever drives it follows [`step`](Self::step).
pub struct Connection {
    ctx: Arc<Context>,
    phase: Phase,
    slice: Slice,
    // Last, as the broker's end waits for it.
    _token: TaskTrackerToken,
}

enum Phase {
    Connecting(Box<Connecting>),
    Connected(Box<Session>),
    Refused(Box<Connecting>, Refusal),
    Ended(Box<Session>, End),
    Finished,
}

impl Connection {
    pub(crate) fn new(ctx: Arc<Context>, origin: Origin, deadline: Instant) -> Self {
        let connecting = Connecting::new(ctx.clone(), origin, deadline);
        Self {
            _token: ctx.tasks.token(),
            ctx,
            phase: Phase::Connecting(Box::new(connecting)),
            slice: Slice::new(),
        }
    }

    /// Does what can be done now. Returns what is next.
    pub fn step(&mut self) -> Step {
        let is_new_slice = self.slice.take_is_new();
        let step = match &mut self.phase {
            Phase::Connecting(connecting) => match connecting.step() {
                Ok(step) => return step,
                Err(refusal) => {
                    self.refuse(refusal);
                    return Step::Over;
                }
            },
            Phase::Connected(session) => session.step(is_new_slice, Instant::now()),
            Phase::Refused(..) | Phase::Ended(..) | Phase::Finished => return Step::Over,
        };
        step.unwrap_or_else(|end| {
            self.end(end);
            Step::Over
        })
    }

    /// Takes bytes that have come from the client: up to a few KiB, if [`step`](Self::step) reads.
    pub fn receive(&mut self, bytes: &[u8]) {
        if let Some((wire, ..)) = self.split() {
            wire.push(bytes);
            self.happened(Event::Received);
        }
    }

    /// Takes up to `most` bytes that go to the client, if [`step`](Self::step) writes.
    pub fn take_output(&mut self, most: usize) -> Vec<u8> {
        let Some((wire, ..)) = self.split() else {
            return vec![];
        };
        let most = most.min(wire.output_len());
        let output = wire.output().drain(..most).collect();
        if most > 0 {
            self.happened(Event::Sent);
        }
        output
    }

    /// Waits for something else that the connection has to do with, and takes it in. Cancel-safe.
    pub async fn event(&mut self) {
        if let Some((_, slice, events)) = self.split() {
            let event = slice.wait(events.next()).await;
            self.happened(event);
        }
    }

    /// The time has come until which [`step`](Self::step) waits.
    pub fn passed(&mut self) {
        self.happened(Event::Deadline);
    }

    /// The client has closed the stream.
    pub fn closed(&mut self) {
        self.end(End::Socket(std::io::ErrorKind::UnexpectedEof.into()));
    }

    /// Does what is left to be done once [`step`](Self::step) is over. Returns what is still to be sent before the stream is
    /// closed, unless nothing can be.
    pub async fn finish(&mut self) -> Option<Vec<u8>> {
        match std::mem::replace(&mut self.phase, Phase::Finished) {
            Phase::Refused(connecting, refusal) => connecting.refuse(&refusal),
            Phase::Ended(session, end) => session.finish(end).await,
            Phase::Connecting(_) | Phase::Connected(_) | Phase::Finished => None,
        }
    }

    /// Lets others have their turn, if it is time: to be called whenever [`step`](Self::step) goes on at once.
    pub async fn give_way(&mut self) {
        self.slice.give_way().await;
    }

    /// How long a write may make no progress.
    pub(crate) fn write_stall(&self) -> Duration {
        self.ctx.limits.write_stall
    }

    /// Cancelled when the broker stops.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.ctx.stop
    }

    /// The protocol state, and what is waited for apart from it; `None` when the connection is over.
    pub(crate) fn split(&mut self) -> Option<(&mut Wire, &mut Slice, Events<'_>)> {
        let (wire, events) = match &mut self.phase {
            Phase::Connecting(connecting) => connecting.split(),
            Phase::Connected(session) => session.split(),
            Phase::Refused(..) | Phase::Ended(..) | Phase::Finished => return None,
        };
        Some((wire, &mut self.slice, events))
    }

    /// Something has happened since the last [`step`](Self::step).
    pub(crate) fn happened(&mut self, event: Event) {
        if let Phase::Connected(session) = &mut self.phase {
            if let Err(end) = session.happened(event) {
                self.end(end);
            }
            return;
        }
        self.phase = match std::mem::replace(&mut self.phase, Phase::Finished) {
            Phase::Connecting(connecting) => match connecting.happened(event) {
                Outcome::Connecting(connecting) => Phase::Connecting(connecting),
                Outcome::Refused(connecting, refusal) => Phase::Refused(connecting, refusal),
                Outcome::Session(mut session) => match session.take_up() {
                    Ok(()) => Phase::Connected(session),
                    Err(end) => Phase::Ended(session, end),
                },
            },
            other => other,
        };
    }

    /// The connection is over.
    pub(crate) fn end(&mut self, end: End) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Finished) {
            Phase::Connecting(connecting) => Phase::Refused(connecting, end.into()),
            Phase::Connected(session) => Phase::Ended(session, end),
            other => other,
        };
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Finished) {
            Phase::Connecting(connecting) => Phase::Refused(connecting, refusal),
            other => other,
        };
    }
}
