//! What nodes that share a database tell each other: short texts, in order for each sender, soon, and perhaps never.
//!
//! Nothing durable relies on a frame. It is a hint of what is in the database, sent after the commit, and whoever was told
//! [`Received::Missed`] looks there; or it is of what is published to shared topics, which live nowhere else. That is told whenever a frame may be missing: bundles of frames have dense numbers, and
//! each second there is one at least. So frames of a node that others hold to be gone do no harm, either: they hint at what
//! it had committed by then.
//!
//! A node that is alone sends nothing, listens to nothing, and has no connections for it. The others learn within a second that
//! one has joined: until then they send it nothing, and it is told so by the first bundle of each, as they are by its.

mod bundle;
mod incoming;
mod listener;
mod looks;
mod outgoing;
mod poller;
mod sender;
mod shared;
mod trouble;
mod unconnected;

use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use incoming::Received;
pub use looks::Looks;
pub use shared::Purpose;
pub use unconnected::UnconnectedChannel;

use crate::dialect::Dialect;
use crate::location::Location;
use crate::{NodeId, Store};
use bundle::FRAME;
use incoming::Incoming;
use outgoing::Outgoing;
use shared::Channel;

/// The way to the other nodes. A clone is the same one.
#[derive(Debug, Clone)]
pub struct NodeChannel(Arc<Channel>);

/// What comes from the other nodes, for one who reads it.
#[derive(Debug)]
pub struct NodeFrames(Arc<Channel>);

impl NodeChannel {
    /// The most bytes of a frame.
    pub const FRAME: usize = FRAME;

    /// That of a server whose database is `store`; `None` if that is a file, which is one server's.
    #[must_use]
    pub fn of(store: &Store, purpose: Purpose) -> Option<(Self, NodeFrames)> {
        let Location::Server(server) = store.location() else {
            return None;
        };
        let channel = Arc::new(Channel {
            purpose,
            store: store.clone(),
            server: server.clone(),
            outgoing: Outgoing::default(),
            incoming: Incoming::default(),
            others: watch::Sender::new([].into()),
        });
        Some((Self(channel.clone()), NodeFrames(channel)))
    }

    /// Sends `frame` to the nodes that are known, soon. Does not wait: what there is no room for is dropped, also a frame
    /// that is too large or has a NUL, and the others learn that something is missing. It is not made if there are none.
    pub fn send(&self, frame: impl FnOnce() -> String) {
        match self.0.is_alone() {
            true => self.0.outgoing.lose(1),
            false => self.0.outgoing.add(vec![frame()], None),
        }
    }

    /// The same for frames that belong together: all are sent, or none. `taken` is told once they cannot be lost with this
    /// server, and dropped if they were lost.
    pub fn send_all(&self, frames: Vec<String>, taken: Option<oneshot::Sender<()>>) {
        match self.0.is_alone() {
            // There is nobody to lose it.
            true => drop(taken.map(|taken| taken.send(()))),
            false => self.0.outgoing.add(frames, taken),
        }
    }

    /// Whether no other node is known.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.0.is_alone()
    }

    /// The other nodes that are known, in order.
    #[must_use]
    pub fn others(&self) -> watch::Receiver<Arc<[NodeId]>> {
        self.0.others.subscribe()
    }

    /// How many frames were not sent, for lack of room or because the database failed, since this was last asked.
    #[must_use]
    pub fn take_lost(&self) -> u64 {
        self.0.outgoing.take_lost()
    }

    /// Says which nodes stand, every second. This one does not count.
    pub fn know(&self, nodes: impl IntoIterator<Item = NodeId>) {
        self.0.know(nodes);
    }

    /// Sends and receives until stopped.
    pub async fn run(&self, stop: CancellationToken) {
        let channel = &*self.0;
        let receive = async {
            match channel.server.dialect() {
                Dialect::MySql => poller::run(channel).await,
                Dialect::Postgres | Dialect::Sqlite => listener::run(channel).await,
            }
        };
        let both = async { tokio::join!(sender::run(channel), receive) };
        stop.run_until_cancelled(both).await;
    }
}

impl NodeFrames {
    /// How many frames are worth being handled together, at most.
    pub const TOGETHER: usize = 1024;

    /// Whether no other node is known.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.0.is_alone()
    }

    /// Waits for what comes next. Nothing is lost if it is no longer waited for.
    pub async fn next(&mut self) -> Received {
        self.0.incoming.next().await
    }
}
