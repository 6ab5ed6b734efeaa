//! The other servers, for what is published to shared topics. A server that shares its users with nobody needs none of this.

use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::oneshot;

/// Carries frames to the other servers: what a server sends comes in order to each of them, soon, once, or never. Who misses a
/// frame is told so.
pub trait Neighbours: Send + Sync + 'static {
    /// Whether any other server is known.
    fn are_there(&self) -> bool;

    /// Sends `frame` to all of them, after what was sent before. It must not block: a frame for which there is no room is lost.
    /// `taken` is told once the frame cannot be lost with this server, and dropped if it was lost.
    fn send(&self, frame: Bytes, taken: Option<oneshot::Sender<()>>);

    /// The time, by a clock that all of them go by.
    fn now(&self) -> SystemTime;
}
