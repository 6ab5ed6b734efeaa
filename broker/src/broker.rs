//! The broker as its host sees it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use herald_acl::{Policy, Username};
use parking_lot::RwLock;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    bus::Bus,
    host::{Authenticate, HostError, Inbox, Intake, Notification, Retain, Revoked},
    limits::Limits,
    metrics::Metrics,
    registry::Registry,
    session::{self, Context},
    sys::Sys,
    wire::Reason,
};

/// How long sessions may take to end when the broker stops.
const GOODBYE: Duration = Duration::from_secs(15);

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
        authenticate: Arc<dyn Authenticate>,
        inbox: Arc<dyn Inbox>,
        intake: Arc<dyn Intake>,
        retain: Arc<dyn Retain>,
    ) -> Result<Self, HostError> {
        let metrics = Arc::<Metrics>::default();
        let bus = Bus::start(metrics.clone(), retain)
            .await
            .map_err(|e| HostError(e.to_string()))?;
        let ctx = Arc::new(Context {
            limits,
            metrics,
            policy: RwLock::new(Arc::new(policy)),
            registry: Registry::default(),
            bus,
            sys: Sys::default(),
            authenticate,
            inbox,
            intake,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        ctx.tasks.spawn(Sys::run(ctx.clone()));
        Ok(Self { ctx })
    }

    /// Serves MQTT on one byte stream (TCP, TLS, WebSocket) until it ends. What comes before CONNACK must be over at
    /// `deadline`.
    pub fn serve<S>(
        &self,
        stream: S,
        peer: SocketAddr,
        deadline: Instant,
    ) -> impl Future<Output = ()> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        // Counted, so that `stop` waits for it, wherever it runs.
        let token = self.ctx.tasks.token();
        let run = session::run(self.ctx.clone(), stream, peer, deadline);
        async move {
            let _token = token;
            run.await;
        }
    }

    /// Tells the sessions of the user with this key and name that `notification` is in their inbox. It is there already:
    /// losing this call costs a delay, never a notification.
    pub fn notify(&self, user_id: &str, username: &Username, notification: &Notification) {
        let dropped = self.ctx.registry.notify(user_id, username, notification);
        self.ctx.metrics.shared_dropped.add(dropped);
    }

    /// Tells the sessions of `username` that something may be in their inbox.
    pub fn nudge(&self, username: &Username) {
        self.ctx.registry.nudge(username);
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

    /// Sessions that have a connection.
    pub fn connected(&self) -> usize {
        self.ctx.registry.count().1
    }

    /// Sessions, those that wait for their client to come back among them.
    pub fn sessions(&self) -> usize {
        self.ctx.registry.count().0
    }

    /// Whether connections are served and shared topics routed.
    pub fn is_ready(&self) -> bool {
        !self.ctx.stop.is_cancelled() && self.ctx.bus.is_ready()
    }

    /// Counters since start.
    pub fn metrics(&self) -> &Metrics {
        &self.ctx.metrics
    }

    /// Accepts no more, answers what was received, tells every client (MQTT 5: 0x8B) and waits until all sessions have
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
