//! What the server decides for the API.

use std::{fmt, net::SocketAddr, sync::Arc};

use futures_util::future::BoxFuture;
use herald_acl::Username;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::TaskTracker;

use crate::{
    audit::Audit,
    limits::budget::Shares,
    live_connections::{LiveConnections, NoConnections},
    progress::{NoReports, ReportProgress},
    queue::Throughput,
};

/// A connection that carries MQTT bytes, whatever lies below.
pub trait MqttStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> MqttStream for T {}

/// Runs an MQTT session over a connection from this address, until the session ends.
///
/// poem polls the future in a task that its own shutdown does not wait for: the handler counts the sessions that somebody
/// must wait for.
pub type MqttHandler =
    Arc<dyn Fn(Box<dyn MqttStream>, SocketAddr) -> BoxFuture<'static, ()> + Send + Sync>;

/// Whether the rest of the server may serve and responds, or a sentence that says why not. The API asks the database itself, and
/// waits two seconds for both.
pub type Readiness = Arc<dyn Fn() -> BoxFuture<'static, Result<(), &'static str>> + Send + Sync>;

/// Where changes of rights are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InForce {
    /// On every server that shares the database.
    Everywhere,
    /// On every one but some that the others hold to be gone: these have ended all their sessions.
    GivenUp,
    /// Nobody can say: some server, or the database, does not answer.
    Unknown,
}

/// Resolves when all changes of rights that are committed by now are in force, or after a few seconds. May be dropped.
pub type AwaitRights = Arc<dyn Fn() -> BoxFuture<'static, InForce> + Send + Sync>;

/// Ends the MQTT sessions of a user who is gone, and forgets what else belongs to the name. Resolves when no other user of
/// the same name can ever see any of it, or with why that is not so yet.
pub type ForgetUser =
    Arc<dyn Fn(Username) -> BoxFuture<'static, Result<InForce, String>> + Send + Sync>;

/// What users can have at once.
#[derive(Debug, Clone, Copy)]
pub struct ApiLimits {
    /// Bytes of responses that clients have not read yet: of all users, and of one.
    pub answer_bytes: Shares,
    /// Bytes of bodies that are being received: of all users, and of one.
    pub body_bytes: Shares,
    /// Reads of lists at once: of all users, and of one.
    pub list_reads: Shares,
}

impl Default for ApiLimits {
    /// 256 MiB and 16 MiB; 64 MiB and 8 MiB; 8 and 2.
    fn default() -> Self {
        let mib = |in_all: usize, each: usize| Shares {
            in_all: in_all << 20,
            each: each << 20,
        };
        Self {
            answer_bytes: mib(256, 16),
            body_bytes: mib(64, 8),
            list_reads: Shares { in_all: 8, each: 2 },
        }
    }
}

/// How the API behaves and where its connections go.
#[derive(Clone)]
pub struct ApiOptions {
    /// Origins (`https://app.example`) other than the own one whose pages may use the API and open `/mqtt`.
    pub allowed_origins: Vec<String>,
    /// How many requests one user may send a minute, on average; as many may come at once. 0: any number.
    pub requests_per_minute: u32,
    /// The same for one address, whoever uses it; openings of `/mqtt` count, too.
    pub requests_per_minute_per_address: u32,
    /// What users can have at once.
    pub limits: ApiLimits,
    /// Whether the listener speaks TLS: decides on `wss:` or `ws:`, on the own origin and on Strict-Transport-Security.
    pub tls: bool,
    /// Gets the connections of `/mqtt`.
    pub mqtt: MqttHandler,
    /// Asked by `/readyz`.
    pub ready: Readiness,
    /// Counts every message that ends, for `/admin/queue`.
    pub throughput: Arc<Throughput>,
    /// Records what is tried, for `/admin/audit`. It has to be [run](Audit::run).
    pub audit: Arc<Audit>,
    /// Whether anybody may make an account for themselves.
    pub registration: bool,
    /// Waited for by whatever takes a right away, before it is answered.
    pub await_rights: AwaitRights,
    /// Forgets what is held in memory of a user whose account is being deleted.
    pub forget_user: ForgetUser,
    /// Counts what goes on when the client that asked for it has gone away. Who closes the store waits for it first.
    pub background: TaskTracker,
    /// Asked by `/admin/connections`.
    pub connections: Arc<dyn LiveConnections>,
    /// Gets reports of messages that are cancelled, queued again or moved.
    pub progress: Arc<dyn ReportProgress>,
}

impl ApiOptions {
    /// [`requests_per_minute`](Self::requests_per_minute) that no person and no ordinary program sends, and more than the
    /// messages that a user may send.
    pub const DEFAULT_REQUESTS_PER_MINUTE: u32 = 12_000;

    /// [`requests_per_minute_per_address`](Self::requests_per_minute_per_address), behind which may be a whole company.
    pub const DEFAULT_REQUESTS_PER_MINUTE_PER_ADDRESS: u32 = 60_000;

    /// Options with default limits, TLS, no foreign origins and no live MQTT sessions.
    #[must_use]
    pub fn new(mqtt: MqttHandler, ready: Readiness) -> Self {
        Self {
            allowed_origins: Vec::new(),
            requests_per_minute: Self::DEFAULT_REQUESTS_PER_MINUTE,
            requests_per_minute_per_address: Self::DEFAULT_REQUESTS_PER_MINUTE_PER_ADDRESS,
            limits: ApiLimits::default(),
            tls: true,
            mqtt,
            ready,
            throughput: Arc::default(),
            audit: Arc::default(),
            registration: false,
            await_rights: Arc::new(|| Box::pin(async { InForce::Everywhere })),
            forget_user: Arc::new(|_| Box::pin(async { Ok(InForce::Everywhere) })),
            background: TaskTracker::new(),
            connections: Arc::new(NoConnections),
            progress: Arc::new(NoReports),
        }
    }
}

impl fmt::Debug for ApiOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiOptions")
            .field("allowed_origins", &self.allowed_origins)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
