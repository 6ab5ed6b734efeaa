//! The broker as its host sees it.

use std::{cell::LazyCell, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use herald_acl::{Policy, Username};
use parking_lot::RwLock;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    bus::{Bus, Copy, RetainedStore},
    host::{Alone, Host, HostError, Identity, Notification, Revoked, Standing},
    limits::Limits,
    live_sessions::{LiveQuery, LiveSession, NoSessionId, Origin},
    metrics::Metrics,
    neighbours::Neighbours,
    owners::{OwnSession, SessionEnd, SessionOwners},
    progress::Progress,
    registry::Registry,
    session::{Connection, Context, drain, end_session, publish_kept},
    stream,
    sys::{self, Sys},
    user_bytes::UsersBytes,
    watched::watched,
    wire::Reason,
};

/// How long sessions may take to end when the broker stops: each takes less than a second, but they may be very many.
const GOODBYE: Duration = Duration::from_secs(2);

/// An MQTT broker. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    ctx: Arc<Context>,
}

impl Broker {
    /// Starts a broker that serves no connection yet. Fails if the router of shared topics does not start.
    pub async fn start(
        limits: Limits,
        policy: Policy,
        host: impl Into<Host>,
    ) -> Result<Self, HostError> {
        Self::start_among(limits, policy, host, Arc::new(Alone), None, None).await
    }

    /// The same on a server among others, where `owners` know which of them has a session and `neighbours` carries shared messages
    /// to them: while this one does not [stand](Standing::stands), nobody is let in, and what a session
    /// would do next ends its connection (MQTT 5: 0x89) instead. A session that is kept is there when its client comes back.
    pub async fn start_among(
        limits: Limits,
        policy: Policy,
        host: impl Into<Host>,
        standing: Arc<dyn Standing>,
        owners: Option<Arc<dyn SessionOwners>>,
        neighbours: Option<Arc<dyn Neighbours>>,
    ) -> Result<Self, HostError> {
        let host = host.into();
        let metrics = Arc::<Metrics>::default();
        let crashed = CancellationToken::new();
        let bus = Bus::start(metrics.clone(), host.retain.clone(), neighbours, &crashed);
        let bus = bus.await.map_err(|e| HostError(e.to_string()))?;
        let user_bytes = UsersBytes::new(limits.session_bytes_per_user);
        let ctx = Arc::new(Context {
            limits,
            metrics,
            policy: RwLock::new(Arc::new(policy)),
            registry: Registry::new(owners),
            user_bytes,
            bus,
            sys: Sys::default(),
            progress: Progress::default(),
            host,
            standing,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            draining: CancellationToken::new(),
            crashed: crashed.clone(),
        });
        let publishes_sys = {
            let ctx = ctx.clone();
            async move {
                let run = ctx.sys.run(&ctx.metrics, || ctx.registry.count());
                ctx.stop.run_until_cancelled(run).await;
            }
        };
        ctx.tasks.spawn(watched(publishes_sys, crashed));
        Ok(Self { ctx })
    }

    /// Serves MQTT on one byte stream, which comes from `origin`, until it ends. What comes before CONNACK must be over at
    /// `deadline`.
    pub fn serve<S>(
        &self,
        stream: S,
        origin: Origin,
        deadline: Instant,
    ) -> impl Future<Output = ()> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        stream::run(self.connection(origin, deadline), stream)
    }

    /// The same without a stream: its bytes are moved by whoever drives it.
    pub fn connection(&self, origin: Origin, deadline: Instant) -> Connection {
        Connection::new(self.ctx.clone(), origin, deadline)
    }

    /// Notifies the sessions of the user with this key and name that `notification` is in their inbox. It is there already:
    /// losing this call costs a delay, never a notification.
    pub fn notify(&self, user_id: &str, username: &Username, notification: &Notification) {
        let dropped = self.ctx.registry.notify(user_id, username, notification);
        self.ctx.metrics.shared_dropped.add(dropped);
        if let Some(neighbours) = self.ctx.bus.neighbourhood() {
            neighbours.notified(username, &notification.payload);
        }
    }

    /// The same for a notification that another server has finished: observers are not for this one to notify.
    pub fn notify_sessions(&self, user_id: &str, username: &Username, notification: &Notification) {
        self.ctx.registry.wake(user_id, username, notification);
    }

    /// Tells the sessions of the user with this key and name that their inbox goes up to the number `newest`, at least: those
    /// that have not read that far look.
    pub fn tell_newest(&self, user_id: &str, username: &Username, newest: i64) {
        self.ctx.registry.tell_newest(user_id, username, newest);
    }

    /// The key and the name of each user who is connected.
    pub fn online(&self) -> Vec<(Arc<str>, Username)> {
        self.ctx.registry.online()
    }

    /// Whether the user with this key and name is connected.
    pub fn is_online(&self, user_id: &str, username: &Username) -> bool {
        self.ctx.registry.is_online(user_id, username)
    }

    /// What this broker publishes of itself below `$SYS/herald/`, as far as it can be added up with others.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        sys::counters(&self.ctx.metrics, self.ctx.registry.count())
    }

    /// Publishes what the brokers of all servers count together, below `$SYS/herald/cluster/`. Whoever subscribes later gets the
    /// last ones at once.
    pub fn publish_totals(&self, totals: Vec<(&'static str, u64)>) {
        self.ctx.sys.publish_totals(totals, &self.ctx.metrics);
    }

    /// Makes the sessions of `username` look for something new in their inbox.
    pub fn nudge(&self, username: &Username) {
        self.ctx.registry.nudge(username);
    }

    /// Makes the session that the user with this key and name has under `client_id`, connected or not, leave out the
    /// notifications up to `up_to`, which are in the inbox: as if its client had acknowledged them. The user's other sessions
    /// do not. The host has moved the cursor of `client_id` before. `false`: there is no such session.
    pub fn skip(&self, user_id: &str, username: &Username, client_id: &str, up_to: i64) -> bool {
        let registry = &self.ctx.registry;
        registry.skip(user_id, username, client_id, up_to)
    }

    /// Publishes what became of a message of the user with this key and name to `users/{username}/progress`, for whoever has
    /// subscribed to exactly that and is connected, here or to another server. Best effort: it waits for nobody, is kept for
    /// nobody, and `payload` is not asked for if there is nobody.
    pub fn publish_progress(
        &self,
        user_id: &str,
        username: &Username,
        payload: impl FnOnce() -> Bytes,
    ) {
        let payload = LazyCell::new(payload);
        let copy = || payload.clone();
        let dropped = self.ctx.progress.publish(user_id, username, copy);
        self.ctx.metrics.shared_dropped.add(dropped);
        if let Some(neighbours) = self.ctx.bus.neighbourhood() {
            neighbours.progress(user_id, username, copy);
        }
    }

    /// The same to all such topics that somebody has subscribed to.
    pub fn publish_progress_to_all(&self, payload: impl FnOnce() -> Bytes) {
        let payload = LazyCell::new(payload);
        let copy = || payload.clone();
        let dropped = self.ctx.progress.publish_to_all(copy);
        self.ctx.metrics.shared_dropped.add(dropped);
        if let Some(neighbours) = self.ctx.bus.neighbourhood() {
            neighbours.progress_of_all(copy);
        }
    }

    /// Takes a frame that the server with this name has sent through [`Neighbours`]. Waits for room.
    pub async fn receive_frame(&self, server: &Arc<str>, frame: Bytes) {
        let dropped = match self.ctx.bus.receive(server, &frame).await {
            Some(Copy::Progress(user_id, username, payload)) => {
                let progress = &self.ctx.progress;
                progress.publish(&user_id, &username, || payload)
            }
            Some(Copy::ProgressOfAll(payload)) => self.ctx.progress.publish_to_all(|| payload),
            Some(Copy::Notified(username, payload)) => self.ctx.registry.copy(&username, &payload),
            None => 0,
        };
        self.ctx.metrics.shared_dropped.add(dropped);
    }

    /// Frames of other servers may be missing.
    pub fn missed_frames(&self) {
        self.ctx.bus.missed();
    }

    /// So many frames of this server were lost on their way to others: they count as dropped.
    pub fn lost_frames(&self, frames: u64) {
        self.ctx.metrics.shared_dropped.add(frames);
    }

    /// The servers with these names are there, and no others but this one.
    pub fn know_neighbours(&self, servers: impl IntoIterator<Item = Arc<str>>) {
        self.ctx.bus.know(servers.into_iter().collect());
    }

    /// Puts `policy` in force: at once for what clients do from now on, within a second for the subscriptions they have.
    pub fn set_policy(&self, policy: Policy) {
        *self.ctx.policy.write() = Arc::new(policy);
        self.ctx.registry.recheck_all();
    }

    /// Ends the sessions of `username` that `revoked` names, within a second (MQTT 5: 0x87).
    pub fn revoke(&self, username: &Username, revoked: &Revoked) {
        self.ctx.registry.revoke(username, revoked);
    }

    /// Ends every connection (MQTT 5: 0x89) of a server that does not [stand](Standing::stands) any more, those that do nothing
    /// among them.
    pub fn cut_off(&self) {
        self.ctx.registry.stop_arrivals(Reason::CutOff);
        self.ctx.registry.disconnect_all(Reason::CutOff);
        self.ctx.bus.kept().give_up();
    }

    pub(crate) fn retained(&self) -> &RetainedStore {
        self.ctx.bus.kept()
    }

    /// Sends all clients to other servers (MQTT 5: 0x9C), spread evenly `over` this time, and lets nobody in any more. What is
    /// kept of their sessions stays here. Resolves when all have gone, or do not go.
    pub async fn drain(&self, over: Duration) {
        self.ctx.draining.cancel();
        drain(&self.ctx, over).await;
    }

    /// Publishes the [will](crate::KeptWill) of a client of another server that is gone, if what `identity` may do now lets it.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub async fn publish_will(
        &self,
        identity: Identity,
        client_id: Arc<str>,
        peer: SocketAddr,
        text: &str,
    ) -> Result<(), HostError> {
        publish_kept(&self.ctx, identity, client_id, peer, text).await
    }

    /// Makes all sessions go on with the shared messages that waited while the server was not
    /// [current](Standing::is_current).
    pub fn go_on(&self) {
        self.ctx.registry.wake_all();
    }

    /// Makes all sessions look for something new in their inboxes.
    pub fn nudge_all(&self) {
        self.ctx.registry.nudge_all();
    }

    /// The account with this name is gone, and another may get the name: nothing of the old one is to be seen by it. Ends the
    /// sessions of `username` as [`Revoked::User`] does, lets them hand on nothing more meanwhile, and forgets what is
    /// retained on the topics that the rules [give to the user](Policy::own_topics), without publishing anything. All that is
    /// done at once; the future resolves when it is durable, or fails if that takes too long: it is saved nonetheless when the
    /// host can, unless the process ends first.
    ///
    /// A topic that two rules give to two users is forgotten with either of them.
    pub fn forget_user(
        &self,
        username: &Username,
    ) -> impl Future<Output = Result<(), HostError>> + Send + use<> {
        self.revoke(username, &Revoked::User);
        let own = self.ctx.policy().own_topics(username);
        let sessions = self.ctx.registry.sessions_of(username);
        let saving = self.ctx.bus.forget(own, sessions);
        async {
            let saved = saving.done().await;
            saved.map_err(|_| {
                HostError("what is retained of a user who is gone could not be cleared yet".into())
            })
        }
    }

    /// Live sessions, those that wait for their client among them, in an order that stays the same: so the id of the last
    /// one is where to go on. It costs what is listed, not what there is.
    pub fn live(&self, query: LiveQuery<'_>) -> Result<Vec<LiveSession>, NoSessionId> {
        self.ctx.registry.list(query)
    }

    /// The session with this [id](LiveSession::id); `None` if there is none, or it has not had a connection yet.
    pub fn session(&self, id: &str) -> Option<LiveSession> {
        self.ctx.registry.session(id)
    }

    /// Ends the session with this id, whether it is connected or waits for its client (MQTT 5: 0x98), and publishes its
    /// will. The client may connect again, and then has a new session. Returns what the session was; `None` if there is none.
    pub fn kick(&self, id: &str) -> Option<LiveSession> {
        self.ctx.registry.kick(id)
    }

    /// Ends a session of this server as another one or nobody is to have it, unless it was taken over since, and lets nobody in
    /// who has come for it by then. Resolves when nothing more is delivered in it.
    pub fn end_session(
        &self,
        session: OwnSession,
        end: SessionEnd,
    ) -> impl Future<Output = ()> + Send + use<> {
        end_session(self.ctx.clone(), session, end)
    }

    /// All sessions of this server, each with its last takeover.
    pub fn own_sessions(&self) -> Vec<OwnSession> {
        self.ctx.registry.own_sessions()
    }

    /// The number of the last takeover that has begun: later ones have greater ones.
    pub fn last_takeover(&self) -> u64 {
        self.ctx.registry.last_takeover()
    }

    /// Whether the user with this key has a session under `client_id` here, or its client waits for it.
    pub fn is_or_arrives_here(&self, user_id: &Arc<str>, client_id: &Arc<str>) -> bool {
        self.ctx.registry.is_or_arrives_here(user_id, client_id)
    }

    /// Sessions that have a connection.
    pub fn connected(&self) -> usize {
        self.ctx.registry.count().1
    }

    /// Sessions, those that wait for their client to come back among them.
    pub fn sessions(&self) -> usize {
        self.ctx.registry.count().0
    }

    /// What all sessions of the user with this key hold of messages to the user, in bytes: no more than
    /// [`Limits::session_bytes_per_user`].
    pub fn held_bytes(&self, user_id: &str) -> usize {
        self.ctx.user_bytes.held(user_id)
    }

    /// Whether connections are served and shared topics routed.
    pub fn is_ready(&self) -> bool {
        !self.ctx.stop.is_cancelled() && self.ctx.bus.is_ready()
    }

    /// Resolves when a task that is to run until the broker stops has panicked. The broker should be stopped then.
    pub async fn crashed(&self) {
        self.ctx.crashed.cancelled().await;
    }

    /// Counters since start.
    pub fn metrics(&self) -> &Metrics {
        &self.ctx.metrics
    }

    /// Accepts no more, responds to what was received, ends every connection (MQTT 5: 0x8B) and waits until all sessions have
    /// ended, or too long has passed.
    pub async fn stop(&self) {
        self.ctx.stop.cancel();
        self.ctx.registry.stop_all(Reason::ShuttingDown);
        self.ctx.tasks.close();
        if timeout(GOODBYE, self.ctx.tasks.wait()).await.is_err() {
            tracing::warn!(
                sessions = self.sessions(),
                "some sessions did not end in time"
            );
        }
        self.ctx.bus.stop().await;
    }
}
