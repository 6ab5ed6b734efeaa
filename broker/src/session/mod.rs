//! One client from CONNECT to the end, over any byte stream, in either version.
//!
//! A session is one task. It owns the socket and the protocol state, and waits for whichever comes first: bytes from the
//! client, room in the socket, [mail](crate::mailbox), an answer from the host, or a deadline. Everything it holds is
//! bounded: one chunk of unread bytes, [`RECEIVE_MAXIMUM`] packets under way in each direction, and an output buffer that
//! stops it from making more once it is full.

mod connect;
mod deliver;
mod end;
mod io;
mod place;
mod publish;
mod subscribe;

use std::{collections::VecDeque, net::SocketAddr, num::NonZeroU32, sync::Arc};

use futures_util::{
    StreamExt as _,
    future::{BoxFuture, OptionFuture},
    stream::FuturesOrdered,
};
use herald_acl::{Policy, TopicFilter, Who};
use parking_lot::RwLock;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    bus::{Bus, SessionId},
    feed::Feed,
    host::{Authenticate, Batch, HostError, Identity, Inbox, Intake},
    limits::{Limits, RECEIVE_MAXIMUM},
    mailbox::{Delivery, Mailbox},
    metrics::Metrics,
    registry::Registry,
    wire::{Incoming, PubackCode, Publish, Qos, Reason, Wire},
};
use end::End;
use io::Io;
use place::Place;

/// What all sessions share.
pub(crate) struct Context {
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) policy: RwLock<Arc<Policy>>,
    pub(crate) registry: Registry,
    pub(crate) bus: Bus,
    pub(crate) authenticate: Arc<dyn Authenticate>,
    pub(crate) inbox: Arc<dyn Inbox>,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) stop: CancellationToken,
}

impl Context {
    /// The policy in force now.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.policy.read().clone()
    }
}

/// A filter that the ACL granted.
struct Granted {
    filter: TopicFilter,
    qos: Qos,
    no_local: bool,
    retain_as_published: bool,
    identifier: Option<NonZeroU32>,
}

/// Delivery of the session's own inbox.
struct InboxState {
    feed: Feed,
    reading: Option<BoxFuture<'static, Result<Batch, HostError>>>,
}

/// What is retained, for a new subscription: read part by part, as the client takes it.
struct Replay {
    filter: TopicFilter,
    /// The topic of the last one read.
    after: Option<String>,
}

/// The answer to a PUBLISH, once it is known.
struct Answer {
    packet_id: Option<u16>,
    result: Result<(), Refused>,
}

/// Why a PUBLISH goes nowhere.
enum Refused {
    /// Said in PUBACK (5), or dropped in silence, counted and logged (3.1.1).
    With(PubackCode, String),
    /// Not stored, as too much waits to be: the client tries again.
    Busy,
    /// Not stored: the client tries again.
    Unavailable,
}

/// A connected session.
struct Session<S> {
    ctx: Arc<Context>,
    io: Io<S>,
    id: SessionId,
    identity: Identity,
    place: Place,
    client_id: Arc<str>,
    mailbox: Arc<Mailbox>,
    will: Option<Publish>,
    granted: Vec<Granted>,
    inbox: Option<InboxState>,
    /// PUBLISHes being answered, in the order they came (MQTT 5 section 4.6.0-2).
    answers: FuturesOrdered<BoxFuture<'static, Answer>>,
    /// Subscriptions that still get what is retained.
    replays: VecDeque<Replay>,
    /// Shared messages taken from the mailbox and not sent yet.
    shared: VecDeque<Delivery>,
    /// QoS 1 PUBLISHes to the client that it has not acknowledged, and how many it may have.
    in_flight: usize,
    window: usize,
    last_packet: Instant,
}

/// Runs a connection to its end. `deadline` bounds all that comes before CONNACK.
pub(crate) async fn run<S>(ctx: Arc<Context>, stream: S, peer: SocketAddr, deadline: Instant)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let wire = Wire::new(ctx.limits.packet_bytes, RECEIVE_MAXIMUM);
    let mut io = Io::new(stream, wire, ctx.limits.write_stall);
    let connecting = Box::pin(connect::connect(&ctx, &mut io, peer));
    let connected = tokio::select! {
        done = tokio::time::timeout_at(deadline, connecting) => done.ok(),
        () = ctx.stop.cancelled() => None,
    };
    match connected {
        Some(Ok(connected)) => {
            tracing::debug!(%peer, user = %connected.identity.username, client_id = ?connected.client_id, "session began");
            let session = Session::new(ctx, io, connected);
            Box::pin(session.run()).await;
        }
        Some(Err(refusal)) => {
            ctx.metrics.connects_refused.add(1);
            tracing::debug!(%peer, reason = %refusal, "connection refused");
            io.finish().await;
        }
        None => {
            ctx.metrics.connects_refused.add(1);
            tracing::debug!(%peer, "connection gave no CONNECT in time");
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    fn new(ctx: Arc<Context>, io: Io<S>, connected: connect::Connected) -> Self {
        Self {
            ctx,
            io,
            id: connected.session,
            identity: connected.identity,
            place: connected.place,
            client_id: connected.client_id,
            mailbox: connected.mailbox,
            will: connected.will,
            granted: vec![],
            inbox: None,
            answers: FuturesOrdered::new(),
            replays: VecDeque::new(),
            shared: VecDeque::new(),
            in_flight: 0,
            window: connected.receive_maximum.min(RECEIVE_MAXIMUM).into(),
            last_packet: Instant::now(),
        }
    }

    async fn run(mut self) {
        let end = loop {
            match self.turn().await {
                Ok(()) => {}
                Err(end) => break end,
            }
        };
        self.finish(end).await;
    }

    /// Does all that can be done now, then waits for the next event.
    async fn turn(&mut self) -> Result<(), End> {
        self.handle_received().await?;
        self.deliver()?;

        let may_read = self.may_read();
        // A client is not silent while it is not listened to.
        let silent_at = self
            .io
            .wire
            .keep_alive()
            .filter(|_| may_read)
            .map(|d| self.last_packet + d);
        let answering = !self.answers.is_empty();
        let reading: OptionFuture<_> = self.inbox.as_mut().and_then(|i| i.reading.as_mut()).into();
        tokio::select! {
            moved = self.io.transfer(may_read, silent_at) => match moved? {
                io::Moved::Received | io::Moved::Sent => {}
                io::Moved::Silent => {
                    self.io.wire.keep_alive_expired();
                    return Err(End::Broken("keep-alive"));
                }
            },
            () = self.mailbox.ready() => self.take_mail()?,
            Some(answer) = self.answers.next(), if answering => self.answer(answer)?,
            Some(batch) = reading => self.read_done(batch)?,
        }
        Ok(())
    }

    /// Handles packets until none is complete, or the session must wait.
    async fn handle_received(&mut self) -> Result<(), End> {
        while self.may_read() && self.io.has_unread() {
            match self.io.receive() {
                Ok(None) => break,
                Ok(Some(packet)) => {
                    self.last_packet = Instant::now();
                    self.handle(packet).await?;
                }
                Err(closed) => return Err(End::Protocol(closed)),
            }
        }
        Ok(())
    }

    async fn handle(&mut self, packet: Incoming) -> Result<(), End> {
        match packet {
            Incoming::Publish(publish) => self.publish(publish).await,
            Incoming::Puback { packet_id } => {
                self.acknowledged(packet_id);
                Ok(())
            }
            Incoming::Subscribe(subscribe) => self.subscribe(subscribe).await,
            Incoming::Unsubscribe { packet_id, filters } => {
                self.unsubscribe(packet_id, filters).await
            }
            Incoming::Pingreq => Ok(()),
            Incoming::Disconnect { with_will } => {
                if !with_will {
                    self.will = None;
                }
                Err(End::Client)
            }
            Incoming::Connect(_) | Incoming::Unsupported => Err(End::Server(Reason::ProtocolError)),
        }
    }

    /// No more is read while as many PUBLISHes are being answered as the client may have under way, or while it does not
    /// take what is sent to it.
    fn may_read(&self) -> bool {
        self.answers.len() < RECEIVE_MAXIMUM.into() && !self.io.output_full()
    }

    /// Whom the ACL is asked about.
    fn who(&self) -> Who<'_> {
        Who {
            username: &self.identity.username,
            role: self.identity.role,
            client_id: &self.client_id,
        }
    }
}
