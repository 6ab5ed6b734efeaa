//! The embedded `rumqttd` behind a small, safe surface.
//!
//! What its 0.20.0 source makes necessary:
//! - it keeps an entry for each topic ever published, and compares topics by slicing them at byte 1: the topics here are
//!   [`topic`]s of ours, one a slot, and all that a client wrote is opaque payload;
//! - the size of a log counts topic and payload alone: properties are not used, so that its bound is one on memory;
//! - `LinkRx::next` may answer `None`, and `Unschedule` must be answered with `wake`;
//! - a link that lags jumps ahead silently: the log offsets that come with each message show it;
//! - the ids of all links ever made are remembered: ours are named after their slots;
//! - its senders block when a thousand events wait: see [`WINDOW`];
//! - its thread can panic, which drops the senders to all links, and else never ends, as it holds a sender to itself: see
//!   [`Publisher::end_router`].

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rumqttd::{
    Broker, Config, Notification, RouterConfig,
    local::{LinkRx, LinkTx},
    protocol::{Packet, PingReq},
};
use tokio::{sync::oneshot, time::timeout};

use super::{Message, frame, subscribers::MAX_SCOPES};

/// How long the router may take to open a link.
const ANSWER: Duration = Duration::from_secs(5);

/// How many seconds it may leave a probe unanswered.
const UNANSWERED: u32 = 5;

/// Once the router has not confirmed so many messages, no more are handed over. With one message for each slot past it,
/// and a wake-up from each, this stays below the thousand events at which handing over would block.
const WINDOW: usize = 256;

/// The router's thread has died, or does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the router is gone")]
pub(super) struct RouterGone;

/// The topic of a slot on the router.
fn topic(slot: usize) -> String {
    format!("h/{slot}")
}

/// A router on a thread of its own. Cheap to clone.
#[derive(Clone)]
pub(super) struct Router(Arc<Broker>);

impl Router {
    pub(super) fn start() -> Result<Self, RouterGone> {
        // It panics if the thread cannot be made.
        std::panic::catch_unwind(|| {
            let router = RouterConfig {
                // One for each slot, one that publishes, and some to spare.
                max_connections: MAX_SCOPES + 8,
                max_outgoing_packet_count: 200,
                max_segment_size: 1024 * 1024,
                max_segment_count: 4,
                // Without a filter no topic is looked at, and `end_router` would end nothing.
                initialized_filters: Some(vec![topic(0)]),
                ..RouterConfig::default()
            };
            Self(Arc::new(Broker::new(Config {
                router,
                ..Config::default()
            })))
        })
        .map_err(|_| RouterGone)
    }

    /// Opens the link that publishes.
    pub(super) async fn publisher(&self) -> Result<Publisher, RouterGone> {
        let (tx, rx) = self.link("publisher".into()).await?;
        Ok(Publisher {
            tx,
            rx,
            unconfirmed: 0,
            probe: None,
        })
    }

    /// Opens a link that receives what is published to `slot` from now on.
    pub(super) async fn receiver(&self, slot: usize) -> Result<Receiver, RouterGone> {
        let (mut tx, mut rx) = self.link(format!("slot-{slot}")).await?;
        tx.subscribe(topic(slot)).map_err(|_| RouterGone)?;
        let answered = async {
            loop {
                match rx.next().await {
                    Ok(Some(Notification::DeviceAck(_))) => return Ok(()),
                    Ok(_) => {}
                    Err(_) => return Err(RouterGone),
                }
            }
        };
        timeout(ANSWER, answered).await.map_err(|_| RouterGone)??;
        Ok(Receiver {
            rx,
            _tx: tx,
            offset: None,
        })
    }

    async fn link(&self, id: String) -> Result<(LinkTx, LinkRx), RouterGone> {
        let (answer, opened) = oneshot::channel();
        let broker = self.0.clone();
        // The router answers over a blocking channel, and never if it dies just then: the runtime must not wait for it.
        std::thread::Builder::new()
            .name("router-link".into())
            .spawn(move || {
                // Nobody waits for it any more if it took too long.
                let _ = answer.send(broker.link(&id));
            })
            .map_err(|_| RouterGone)?;
        match timeout(ANSWER, opened).await {
            Ok(Ok(Ok(link))) => Ok(link),
            _ => Err(RouterGone),
        }
    }
}

/// The link that publishes.
pub(super) struct Publisher {
    tx: LinkTx,
    rx: LinkRx,
    /// Messages handed over since what the last answer confirmed.
    unconfirmed: usize,
    probe: Option<Probe>,
}

/// A question to the router that it has not answered.
struct Probe {
    /// How often [`Publisher::probe`] found it so. Not a time: that also passes while the whole process stands still.
    unanswered: u32,
    /// How many of the unconfirmed messages its answer confirms.
    confirms: usize,
}

impl Publisher {
    /// Whether the router keeps up: while it does not, nothing may be published.
    pub(super) fn has_room(&self) -> bool {
        self.unconfirmed < WINDOW
    }

    /// Hands a [frame] over.
    pub(super) async fn publish(&mut self, slot: usize, frame: Bytes) -> Result<(), RouterGone> {
        self.tx
            .try_publish(topic(slot), frame)
            .map_err(|_| RouterGone)?;
        self.unconfirmed += 1;
        if self.unconfirmed >= WINDOW / 2 && self.probe.is_none() {
            self.ask().await?;
        }
        Ok(())
    }

    /// To be called each second: asks the router whether it lives, and fails if it has not answered for too long.
    pub(super) async fn probe(&mut self) -> Result<(), RouterGone> {
        match &mut self.probe {
            Some(probe) if probe.unanswered >= UNANSWERED => Err(RouterGone),
            Some(probe) => {
                probe.unanswered += 1;
                Ok(())
            }
            None => self.ask().await,
        }
    }

    /// PINGREQ, which the router answers behind all that it was handed before.
    async fn ask(&mut self) -> Result<(), RouterGone> {
        self.tx
            .send(Packet::PingReq(PingReq))
            .await
            .map_err(|_| RouterGone)?;
        self.probe = Some(Probe {
            unanswered: 0,
            confirms: self.unconfirmed,
        });
        Ok(())
    }

    /// The next answer of the router; fails at once when it dies. Cancel-safe.
    pub(super) async fn answer(&mut self) -> Result<(), RouterGone> {
        loop {
            match self.rx.next().await {
                Ok(Some(Notification::DeviceAck(_))) => {
                    if let Some(probe) = self.probe.take() {
                        self.unconfirmed -= probe.confirms;
                    }
                    return Ok(());
                }
                Ok(Some(Notification::Disconnect(..))) | Err(_) => return Err(RouterGone),
                Ok(_) => {}
            }
        }
    }

    /// Makes the router's thread end, if it still runs or ever goes on: a topic that cannot be sliced at byte 1 panics it,
    /// and nothing else ends it.
    pub(super) fn end_router(mut self) {
        // If that cannot be handed over, the thread has ended.
        let _ = self.tx.try_publish("\u{e9}", "end");
    }
}

/// What a link received.
pub(super) struct Received {
    pub(super) message: Arc<Message>,
    /// Messages that the router skipped before this one.
    pub(super) lost: u64,
}

/// The link that receives what is published to one slot.
pub(super) struct Receiver {
    rx: LinkRx,
    /// The router would not miss it; kept so that a link is dropped as a whole.
    _tx: LinkTx,
    /// Offset of the last message in the log of the slot.
    offset: Option<u64>,
}

impl Receiver {
    /// The next message. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Received, RouterGone> {
        loop {
            match self.rx.next().await {
                Ok(Some(Notification::Forward(forward))) => {
                    let offset = forward.cursor.map(|(_, offset)| offset);
                    let lost = match (self.offset, offset) {
                        (Some(last), Some(now)) => now.saturating_sub(last + 1),
                        _ => 0,
                    };
                    self.offset = offset.or(self.offset);
                    match frame::decode(&forward.publish.payload) {
                        Some(message) => {
                            return Ok(Received {
                                message: Arc::new(message),
                                lost,
                            });
                        }
                        None => tracing::error!("a message on the router was not ours; dropped"),
                    }
                }
                Ok(Some(Notification::Unschedule)) => {
                    self.rx.wake().await.map_err(|_| RouterGone)?;
                }
                Ok(Some(Notification::Disconnect(..))) | Err(_) => return Err(RouterGone),
                Ok(_) => {}
            }
        }
    }
}

#[cfg(test)]
impl Router {
    /// Makes the router's thread panic; it has when this resolves, and no other task need have run since.
    pub(super) async fn kill(&self) {
        let (mut tx, _rx) = self.link("killer".into()).await.unwrap();
        // Until nothing is taken any more.
        while tx.publish("\u{e9}", "end").is_ok() {}
    }

    /// Makes the router's thread wait until it is told to go on.
    pub(super) async fn stall(&self) -> Stalled {
        let (mut tx, rx) = self.link("staller".into()).await.unwrap();
        let (go_on, goes_on) = std::sync::mpsc::channel();
        let (stalled, stalls) = oneshot::channel();
        std::thread::spawn(move || {
            loop {
                tx.publish("stall", "x").unwrap();
                let packets = tx.buffer();
                // The router has not taken it, and cannot while the lock is held.
                if !packets.is_empty() {
                    stalled.send(()).unwrap();
                    let _ = goes_on.recv();
                    return;
                }
            }
        });
        stalls.await.unwrap();
        Stalled { go_on, rx }
    }
}

/// A router whose thread waits.
#[cfg(test)]
pub(super) struct Stalled {
    go_on: std::sync::mpsc::Sender<()>,
    rx: LinkRx,
}

#[cfg(test)]
impl Stalled {
    /// Lets the thread go on, and waits until it has ended.
    pub(super) async fn go_on_and_end(mut self) {
        drop(self.go_on);
        while self.rx.next().await.is_ok() {}
    }
}
