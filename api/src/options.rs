//! What the server decides for the API.

use std::{fmt, net::SocketAddr, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    live::{LiveConnections, NoConnections},
    queue::Throughput,
};

/// A connection that carries MQTT bytes, whatever lies below.
pub trait MqttStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> MqttStream for T {}

/// Runs an MQTT session over a connection from this address, until the session ends.
///
/// poem polls the future in a task that its own shutdown does not wait for; who must wait for sessions counts them
/// here.
pub type MqttHandler =
    Arc<dyn Fn(Box<dyn MqttStream>, SocketAddr) -> BoxFuture<'static, ()> + Send + Sync>;

/// Whether the rest of the server (the broker) answers. The API asks the database itself, and waits two seconds for
/// both.
pub type Readiness = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// How the API behaves and whom it hands connections to.
#[derive(Clone)]
pub struct ApiOptions {
    /// The longest WebSocket message or frame that is accepted, in bytes.
    pub packet_bytes: usize,
    /// Origins (`https://app.example`) other than the own one whose pages may open `/mqtt`.
    pub allowed_origins: Vec<String>,
    /// Whether the listener speaks TLS: decides on `wss:` or `ws:`, on the own origin and on Strict-Transport-Security.
    pub tls: bool,
    /// Gets the connections of `/mqtt`.
    pub mqtt: MqttHandler,
    /// Asked by `/readyz`.
    pub ready: Readiness,
    /// Told of every message that ends, for `/admin/queue`.
    pub throughput: Arc<Throughput>,
    /// Asked by `/admin/connections`.
    pub connections: Arc<dyn LiveConnections>,
}

impl ApiOptions {
    /// Options with a default limit (1 MiB packets), TLS, no foreign origins and no live MQTT sessions.
    #[must_use]
    pub fn new(mqtt: MqttHandler, ready: Readiness) -> Self {
        Self {
            packet_bytes: 1024 * 1024,
            allowed_origins: Vec::new(),
            tls: true,
            mqtt,
            ready,
            throughput: Arc::default(),
            connections: Arc::new(NoConnections),
        }
    }
}

impl fmt::Debug for ApiOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiOptions")
            .field("packet_bytes", &self.packet_bytes)
            .field("allowed_origins", &self.allowed_origins)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
