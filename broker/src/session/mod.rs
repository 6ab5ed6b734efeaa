//! One client from CONNECT to the end, over any byte stream, in either version.
//!
//! A connection is one task. It owns the socket and the protocol state, and waits for whichever comes first: bytes from
//! the client, room in the socket, [mail](crate::mailbox), an answer from the host, or a deadline. Everything it holds is
//! bounded: one chunk of unread bytes, [`RECEIVE_MAXIMUM`] packets under way in each direction, and an output buffer that
//! stops it from making more once it is full.
//!
//! What outlives a connection is [`Kept`]. A connection that ends hands it to [`offline`], which keeps it until the next
//! connection of the same client claims it.

mod answers;
mod client;
mod connect;
mod cursor;
mod deliver;
mod end;
mod handover;
mod in_flight;
mod inbox;
mod io;
mod keep_alive;
mod kept;
mod offline;
mod patience;
mod place;
mod publish;
mod rate_limit;
mod read;
mod rights;
mod slice;
mod subscribe;
mod turn;
mod will;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use herald_acl::{Policy, TopicFilter};
use parking_lot::RwLock;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    bus::{Bus, SubscriptionKey},
    host::Host,
    limits::{Limits, RECEIVE_MAXIMUM},
    live::Origin,
    metrics::Metrics,
    progress::Progress,
    registry::Registry,
    sys::Sys,
    user_bytes::UsersBytes,
    wire::{Qos, Wire},
};
use answers::Answers;
use client::Client;
use cursor::CursorUse;
use end::End;
pub(crate) use handover::Handover;
use io::Io;
use keep_alive::KeepAlive;
pub(crate) use kept::Kept;
use patience::patience;
use place::Place;
use publish::Refused;
use rate_limit::RateLimit;
use read::Reading;
use slice::Slice;
use will::Will;

/// What all sessions share.
pub(crate) struct Context {
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) policy: RwLock<Arc<Policy>>,
    pub(crate) registry: Registry,
    pub(crate) user_bytes: UsersBytes,
    pub(crate) bus: Bus,
    pub(crate) sys: Sys,
    pub(crate) progress: Progress,
    pub(crate) host: Host,
    /// Counts every task of the broker.
    pub(crate) tasks: TaskTracker,
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
    key: SubscriptionKey,
    filter: TopicFilter,
    qos: Qos,
    no_local: bool,
    retain_as_published: bool,
    identifier: Option<NonZeroU32>,
}

/// What is retained, for a new subscription: read part by part, as the client takes it.
struct Replay {
    subscription: SubscriptionKey,
    filter: TopicFilter,
    /// The number of the last message that came before the subscription: what came later is delivered as it comes.
    last: u64,
    /// The topic of the last one read.
    after: Option<String>,
}

/// A connected session, apart from its socket: what it has to say is in `wire` until it is sent.
struct Session {
    ctx: Arc<Context>,
    wire: Box<Wire>,
    client: Client,
    kept: Box<Kept>,
    will: Option<Box<Will>>,
    /// How long the session outlives the connection.
    expiry: Duration,
    /// When the token that the client logged in with expires.
    token_expires: Option<Instant>,
    /// A read of the inbox that is under way.
    reading: Option<Reading>,
    cursor: CursorUse,
    answers: Answers,
    rate_limit: RateLimit,
    slice: Slice,
    /// How many QoS 1 and 2 PUBLISHes to the client it may leave unacknowledged.
    window: usize,
    keep_alive: KeepAlive,
}

/// Runs a connection to its end. `deadline` bounds all that comes before CONNACK.
pub(crate) fn run<S>(
    ctx: Arc<Context>,
    stream: S,
    origin: Origin,
    deadline: Instant,
) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    // Boxed, so that a connection is not as large as its handshake once that is over.
    let begin = Box::pin(begin(ctx, stream, origin, deadline));
    async move {
        if let Some((session, io)) = begin.await {
            session.run(io).await;
        }
    }
}

/// From the first byte to CONNACK. `None`: it did not come to a session.
async fn begin<S>(
    ctx: Arc<Context>,
    stream: S,
    origin: Origin,
    deadline: Instant,
) -> Option<(Box<Session>, Box<Io<S>>)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut wire = Box::new(Wire::new(ctx.limits.packet_bytes));
    let mut io = Box::new(Io::new(stream, ctx.limits.write_stall));
    let connecting = connect::connect(&ctx, &mut io, &mut wire, origin);
    let connected = tokio::select! {
        done = tokio::time::timeout_at(deadline, connecting) => done.ok(),
        () = ctx.stop.cancelled() => None,
    };
    let peer = origin.peer;
    match connected {
        Some(Ok(connected)) => {
            tracing::debug!(%peer, user = %connected.client.identity.username, client_id = ?connected.client.id, goes_on = connected.kept.goes_on, "session began");
            return Some((Box::new(Session::new(ctx, wire, connected)), io));
        }
        Some(Err(refusal)) => {
            ctx.metrics.connects_refused.add(1);
            tracing::debug!(%peer, reason = %refusal, "connection refused");
            io.finish(&mut wire, &ctx.stop).await;
        }
        None => {
            ctx.metrics.connects_refused.add(1);
            tracing::debug!(%peer, "connection gave no CONNECT in time");
        }
    }
    None
}

impl Session {
    fn new(ctx: Arc<Context>, wire: Box<Wire>, connected: connect::Connected) -> Self {
        Self {
            rate_limit: RateLimit::new(ctx.limits.publishes_per_s, Instant::now()),
            slice: Slice::new(),
            ctx,
            wire,
            client: connected.client,
            kept: connected.kept,
            will: connected.will,
            expiry: connected.expiry,
            token_expires: connected.token_expires,
            reading: None,
            cursor: CursorUse::new(),
            answers: Answers::default(),
            window: connected.receive_maximum.min(RECEIVE_MAXIMUM).into(),
            keep_alive: KeepAlive::new(),
        }
    }

    async fn run<S>(mut self: Box<Self>, mut io: Box<Io<S>>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let end = match self.take_up() {
            Ok(()) => loop {
                match self.turn(&mut io).await {
                    Ok(()) => {}
                    Err(end) => break end,
                }
            },
            Err(end) => end,
        };
        // Boxed, as a session spends next to no time there.
        Box::pin(self.finish(io, end)).await;
    }

    /// Goes on with a session that was kept.
    fn take_up(&mut self) -> Result<(), End> {
        if !self.kept.goes_on {
            return Ok(());
        }
        self.wire.resume(self.kept.received.iter().copied());
        for id in self.kept.in_flight.released() {
            self.wire.pubrel(id, true)?;
            self.kept.in_flight.sent(id);
        }
        // It may have been told to skip some meanwhile, which are not to be sent again.
        self.take_mail()?;
        // It may have been without a connection for long.
        self.use_cursor();
        self.watch_again();
        self.recheck()
    }
}
