//! One turn of a session: all that can be done now, then the wait for the next event.

use futures_util::future::{BoxFuture, OptionFuture};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::{
    connected::Session,
    cursor_use::Used,
    end::End,
    io::{self, Io},
    read::ReadBatch,
    responses::Response,
};
use crate::{
    host::HostError,
    state::Ack,
    wire::{Incoming, Reason},
};

/// What a packet asks for and takes time.
type Work<'a> = BoxFuture<'a, Result<(), End>>;

/// Why no more packets are handled now. What the session waits for follows from this alone, and nothing is asked a second time
/// of what may have changed since: so it never waits for the client while it has packets of the client's that it may look at.
#[derive(Clone, Copy, Debug)]
enum Pause {
    /// No packet is complete: more must be read.
    Incomplete,
    /// The client has asked for more than its rate. MQTT 3.1.1 cannot refuse a PUBLISH, and a client of MQTT 5 that is refused
    /// one has lost a message: so neither is read from until then.
    Throttled(Instant),
    /// As many PUBLISHes wait for their response as the client may have under way, or it does not take what is sent to it. A
    /// response, or room in the socket, ends that.
    Full,
    /// Others have their turn.
    SliceOver,
}

impl Session {
    /// Does all that can be done now, then waits for the next event.
    pub(super) async fn turn<S>(&mut self, io: &mut Io<S>) -> Result<(), End>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        // Also of a client that never stops sending.
        if self.token_expires.is_some_and(|at| at <= Instant::now()) {
            return Err(End::Server(Reason::TokenExpired));
        }
        let pause = self.handle_received().await?;
        let more = self.deliver()?;
        self.guard.in_flight_changed(&self.state);
        self.settle_held();
        self.slice.give_way().await;
        if more || matches!(pause, Pause::SliceOver) {
            // Orders do not wait for all that has been received.
            return self.take_mail();
        }
        self.wait(io, pause).await
    }

    /// Handles packets until it must pause.
    async fn handle_received(&mut self) -> Result<Pause, End> {
        loop {
            let now = Instant::now();
            if self.responses.is_full() || self.wire.output_full() {
                return Ok(Pause::Full);
            }
            if let Some(at) = self.rate_limit.blocked_until(now) {
                return Ok(Pause::Throttled(at));
            }
            if !self.wire.has_unread() {
                return Ok(Pause::Incomplete);
            }
            let Some(packet) = self.wire.next_packet()? else {
                return Ok(Pause::Incomplete);
            };
            self.keep_alive.packet();
            if let Some(work) = self.handle(packet, now)? {
                work.await?;
            }
            if self.slice.is_over() {
                return Ok(Pause::SliceOver);
            }
            self.slice.give_way().await;
        }
    }

    /// Handles a packet that came at `now`. What takes time is returned to be waited for: boxed, so that a session that waits
    /// is not as large as one that is busy.
    fn handle(&mut self, packet: Incoming, now: Instant) -> Result<Option<Work<'_>>, End> {
        match packet {
            Incoming::Publish(publish) => {
                self.rate_limit.count_publish(now);
                return Ok(Some(Box::pin(self.publish(publish))));
            }
            Incoming::Subscribe(subscribe) => {
                let bound = self.ctx.limits.filters_per_subscribe();
                let cost = cost(subscribe.subscriptions.len(), bound);
                self.rate_limit.count_control(cost, now);
                return Ok(Some(Box::pin(self.subscribe(subscribe))));
            }
            Incoming::Unsubscribe { packet_id, filters } => {
                self.rate_limit.count_control(cost(filters.len(), 0), now);
                return Ok(Some(Box::pin(self.unsubscribe(packet_id, filters))));
            }
            Incoming::Puback { packet_id } => self.acknowledged(packet_id, Ack::Puback)?,
            Incoming::Pubrec { packet_id, refused } => {
                self.acknowledged(packet_id, Ack::Pubrec { refused })?;
            }
            Incoming::Pubcomp { packet_id } => self.acknowledged(packet_id, Ack::Pubcomp)?,
            Incoming::Pubrel { packet_id } => self.pubrel(packet_id)?,
            Incoming::Pingreq | Incoming::Repeated => self.rate_limit.count_control(1, now),
            Incoming::Disconnect {
                with_will,
                session_expiry,
            } => return Err(self.disconnected(with_will, session_expiry)),
            Incoming::Connect(_) | Incoming::Unsupported => {
                return Err(End::Server(Reason::ProtocolError));
            }
        }
        Ok(None)
    }

    /// Waits for what ends `pause`, and for everything else that can happen to the session.
    async fn wait<S>(&mut self, io: &mut Io<S>, pause: Pause) -> Result<(), End>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let reads = matches!(pause, Pause::Incomplete);
        let deadline = self.deadline(pause);
        let reading: OptionFuture<_> = self.reading.as_mut().into();
        let using_cursor: OptionFuture<_> = self.cursor.under_way.as_mut().into();
        let event = async {
            tokio::select! {
                moved = io.transfer(&mut self.wire, reads, deadline) => Event::Moved(moved),
                () = self.guard.mailbox.ready() => Event::Mail,
                Some(response) = self.responses.next() => Event::Response(response),
                Some(batch) = reading => Event::Read(batch),
                Some(used) = using_cursor => Event::Cursor(used),
            }
        };
        let event = self.slice.wait(event).await;
        if !reads {
            // A client is not silent while it is not listened to.
            self.keep_alive.packet();
        }
        match event {
            Event::Moved(moved) => match moved? {
                io::Moved::Received => {
                    self.keep_alive.bytes();
                    Ok(())
                }
                io::Moved::Sent => Ok(()),
                io::Moved::Deadline => self.deadline_passed(pause),
            },
            Event::Mail => self.take_mail(),
            Event::Response(response) => self.respond(response),
            Event::Read(batch) => self.read_done(batch),
            Event::Cursor(used) => {
                self.cursor_used(used);
                Ok(())
            }
        }
    }

    /// When something is to be done if nothing happens until then.
    fn deadline(&self, pause: Pause) -> Option<Instant> {
        let of_pause = match pause {
            Pause::Incomplete => self.silent_at(),
            Pause::Throttled(until) => Some(until),
            Pause::Full | Pause::SliceOver => None,
        };
        [of_pause, self.token_expires, self.cursor_due()]
            .into_iter()
            .flatten()
            .min()
    }

    fn deadline_passed(&mut self, pause: Pause) -> Result<(), End> {
        let now = Instant::now();
        let listens = matches!(pause, Pause::Incomplete);
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

/// What ended a wait.
enum Event {
    Moved(Result<io::Moved, End>),
    Mail,
    Response(Response),
    Read(Result<ReadBatch, HostError>),
    Cursor(Result<Used, HostError>),
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
