//! One step of a session: all that can be done now. What takes time is waited for outside, and comes back as an event.

use tokio::time::Instant;

use super::{
    connected::Session,
    end::End,
    step::{Event, Events, Pause, Step, Wait},
    task::Task,
};
use crate::{
    state::Ack,
    wire::{Incoming, Reason, Wire},
};

impl Session {
    /// Handles the next packet; if there is none, sends what may be sent. With `is_new_slice`, others have had their turn since
    /// the last step: then orders do not wait for all that has been received. All is decided as of `now`.
    pub(super) fn step(&mut self, is_new_slice: bool, now: Instant) -> Result<Step, End> {
        // First: a process that was stopped wakes anywhere.
        if !self.ctx.standing.stands() {
            return Err(End::Server(Reason::CutOff));
        }
        // Also of a client that never stops sending; but what is begun is done whole.
        let expires = self.token_expires.filter(|_| self.task.is_none());
        if expires.is_some_and(|at| at <= now) {
            return Err(End::Server(Reason::TokenExpired));
        }
        if let Some(task) = self.task.take() {
            return self.go_on_with(task);
        }
        if is_new_slice {
            self.take_mail()?;
            self.deliver_all()?;
        }
        let pause = match self.next_packet(now)? {
            Ok(packet) => {
                self.keep_alive.packet();
                self.handle(packet, now)?;
                return Ok(Step::Again);
            }
            Err(pause) => pause,
        };
        if self.deliver_all()? {
            self.take_mail()?;
            return Ok(Step::Again);
        }
        Ok(self.wait(pause))
    }

    /// Does what can be done now of a packet that takes time.
    fn go_on_with(&mut self, task: Task) -> Result<Step, End> {
        match task {
            Task::Subscribe(subscribing) => self.subscribe_next(subscribing)?,
            Task::Unsubscribe(unsubscribing) => self.unsubscribe_next(unsubscribing)?,
            Task::Publish(..) | Task::Position(..) => {
                self.task = Some(task);
                return Ok(self.wait(Pause::Busy));
            }
        }
        Ok(Step::Again)
    }

    /// The next packet, or why none is handled now.
    fn next_packet(&mut self, now: Instant) -> Result<Result<Incoming, Pause>, End> {
        if self.responses.is_full() || self.wire.output_full() {
            return Ok(Err(Pause::Full));
        }
        if let Some(at) = self.rate_limit.blocked_until(now) {
            return Ok(Err(Pause::Throttled(at)));
        }
        if !self.wire.has_unread() {
            return Ok(Err(Pause::Incomplete));
        }
        Ok(self.wire.next_packet()?.ok_or(Pause::Incomplete))
    }

    /// Handles a packet that came at `now`. What takes time is left as a [`Task`].
    fn handle(&mut self, packet: Incoming, now: Instant) -> Result<(), End> {
        match packet {
            Incoming::Publish(publish) => {
                self.rate_limit.count_publish(now);
                self.publish(publish)
            }
            Incoming::Subscribe(subscribe) => {
                let bound = self.ctx.limits.filters_per_subscribe();
                let cost = cost(subscribe.subscriptions.len(), bound);
                self.rate_limit.count_control(cost, now);
                self.subscribe(subscribe)
            }
            Incoming::Unsubscribe { packet_id, filters } => {
                self.rate_limit.count_control(cost(filters.len(), 0), now);
                self.unsubscribe(packet_id, filters);
                Ok(())
            }
            Incoming::Puback { packet_id } => self.acknowledged(packet_id, Ack::Puback),
            Incoming::Pubrec { packet_id, refused } => {
                self.acknowledged(packet_id, Ack::Pubrec { refused })
            }
            Incoming::Pubcomp { packet_id } => self.acknowledged(packet_id, Ack::Pubcomp),
            Incoming::Pubrel { packet_id } => self.pubrel(packet_id),
            Incoming::Pingreq | Incoming::Repeated => {
                self.rate_limit.count_control(1, now);
                Ok(())
            }
            Incoming::Disconnect {
                with_will,
                session_expiry,
            } => Err(self.disconnected(with_will, session_expiry)),
            Incoming::Connect(_) | Incoming::Unsupported => Err(End::Server(Reason::ProtocolError)),
        }
    }

    /// Sends all that may be sent now. `true`: there is more to do at once.
    fn deliver_all(&mut self) -> Result<bool, End> {
        let more = self.deliver()?;
        self.guard.in_flight_changed(&self.state);
        self.settle_held();
        Ok(more)
    }

    /// What ends `pause`.
    fn wait(&mut self, pause: Pause) -> Step {
        self.pause = pause;
        let of_pause = match pause {
            Pause::Incomplete => self.silent_at(),
            Pause::Throttled(until) => Some(until),
            Pause::Full => None,
            Pause::Busy => {
                return Step::Wait(Wait {
                    reads: false,
                    writes: false,
                    until: None,
                });
            }
        };
        let all = [of_pause, self.token_expires, self.cursor_due()];
        Step::Wait(Wait {
            reads: matches!(pause, Pause::Incomplete),
            writes: true,
            until: all.into_iter().flatten().min(),
        })
    }

    /// The protocol state, and where events come from apart from it.
    pub(super) fn split(&mut self) -> (&mut Wire, Events<'_>) {
        let events = Events::Connected {
            task: self.task.as_mut(),
            mailbox: &self.guard.mailbox,
            responses: &mut self.responses,
            reading: self.reading.as_mut(),
            cursor: self.cursor.under_way.as_mut(),
        };
        (&mut self.wire, events)
    }

    /// Something has happened since the last [`step`](Self::step).
    pub(super) fn happened(&mut self, event: Event) -> Result<(), End> {
        if !matches!(self.pause, Pause::Incomplete) {
            // A client is not silent while it is not listened to.
            self.keep_alive.packet();
        }
        match event {
            Event::Received => self.keep_alive.bytes(),
            Event::Deadline => self.deadline_passed()?,
            Event::Mail => self.take_mail()?,
            Event::Response(response) => self.respond(response)?,
            Event::Read(batch) => self.read_done(batch)?,
            Event::Cursor(used) => self.cursor_used(used),
            Event::Published(handled) => {
                let Some(Task::Publish(_, bytes)) = self.task.take() else {
                    return Ok(());
                };
                self.published(handled.map_err(End::Server)?, bytes)?;
                // Rights may have ended while it was waited for.
                self.take_mail()?;
            }
            Event::Position(position) => {
                self.inbox_located(position)?;
                self.take_mail()?;
            }
            // Those of a connection before CONNACK are not a session's.
            Event::Sent | Event::Admitted(_) | Event::Stop => {}
        }
        Ok(())
    }

    fn deadline_passed(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let listens = matches!(self.pause, Pause::Incomplete);
        if listens && self.silent_at().is_some_and(|at| at <= now) {
            self.wire.keep_alive_expired();
            return Err(End::Broken("keep-alive"));
        }
        if self.cursor_due().is_some_and(|at| at <= now) {
            self.use_cursor();
        }
        Ok(())
    }

    fn silent_at(&self) -> Option<Instant> {
        let time = self.wire.keep_alive()?;
        Some(self.keep_alive.silent_at(time, self.wire.arrived()))
    }
}

/// Filters that cost as much as a packet if they are only looked at.
const LOOKED_AT: usize = 32;

/// What a packet of `filters` filters costs, of which up to `handled` are each a piece of work of its own.
fn cost(filters: usize, handled: usize) -> u32 {
    let handled = filters.min(handled);
    let cost = 1 + handled + (filters - handled).div_ceil(LOOKED_AT);
    // A packet of 256 MiB, the largest there is, has fewer.
    u32::try_from(cost).unwrap_or(u32::MAX)
}
