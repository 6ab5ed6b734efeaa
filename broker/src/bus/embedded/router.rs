//! The embedded `rumqttd` behind a small, safe surface: one link, one topic, and payloads of one byte.
//!
//! What its 0.20.0 source makes necessary:
//! - it keeps an entry for each topic ever published, compares topics by slicing them at byte 1, remembers the ids of all
//!   links ever made, and counts topics and payloads alone towards the bound of its log: so there is one of each, and it is
//!   given nothing of what a client has sent;
//! - `LinkRx::next` may answer `None`, and `Unschedule` must be answered with `wake`;
//! - its senders block when a thousand events wait. A message is an event, and no more are handed over than the byte can
//!   tell apart until the first of them is back;
//! - its thread can panic, which drops the senders to all links, and else never ends, as it holds a sender to itself: see
//!   [`Link::end_router`].

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rumqttd::{
    Broker, Config, Notification, RouterConfig,
    local::{LinkRx, LinkTx},
    protocol::{Packet, PingReq, Publish},
};
use tokio::{sync::oneshot, time::timeout};

/// How long the router may take to open a link.
const ANSWER: Duration = Duration::from_secs(5);

/// How many seconds it may leave a probe unanswered.
const UNANSWERED: u32 = 5;

/// The one topic.
const TOPIC: &str = "herald";

/// Every payload there is.
static PAYLOADS: [u8; 256] = {
    let mut payloads = [0; 256];
    let mut number = 0;
    while number < 256 {
        payloads[number] = number as u8;
        number += 1;
    }
    payloads
};

fn payload(number: u8) -> Bytes {
    Bytes::from_static(&PAYLOADS[usize::from(number)..][..1])
}

/// The router's thread has died, or does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the router is gone")]
pub(in crate::bus) struct RouterGone;

/// A router on a thread of its own. Cheap to clone.
#[derive(Clone)]
pub(in crate::bus) struct Router(Arc<Broker>);

impl Router {
    fn start() -> Result<Self, RouterGone> {
        // It panics if the thread cannot be made.
        std::panic::catch_unwind(|| {
            let router = RouterConfig {
                // One, and some to spare.
                max_connections: 8,
                max_outgoing_packet_count: 200,
                // More than can be under way, so that it never forgets what was not received.
                max_segment_size: 16 * 1024,
                max_segment_count: 2,
                // Without a filter no topic is looked at, and `end_router` would end nothing.
                initialized_filters: Some(vec![TOPIC.into()]),
                ..RouterConfig::default()
            };
            Self(Arc::new(Broker::new(Config {
                router,
                ..Config::default()
            })))
        })
        .map_err(|_| RouterGone)
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

/// A router, and the one link to it, through which numbers go and come back.
pub(super) struct Link {
    router: Router,
    tx: LinkTx,
    rx: LinkRx,
    /// The last number that was sent, until the router is told: once for all that were sent before.
    untold: Option<u8>,
    /// How often [`Link::probe`] has found its last question unanswered. Not a time: that also passes while the whole process
    /// stands still.
    unanswered: Option<u32>,
}

impl Link {
    /// Starts a router.
    pub(super) async fn open() -> Result<Self, RouterGone> {
        let router = Router::start()?;
        let (mut tx, mut rx) = router.link("herald".into()).await?;
        tx.subscribe(TOPIC).map_err(|_| RouterGone)?;
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
        Ok(Self {
            router,
            tx,
            rx,
            untold: None,
            unanswered: None,
        })
    }

    pub(super) fn router(&self) -> &Router {
        &self.router
    }

    /// Hands a number over, at the latest with the next [`receive`](Self::receive).
    pub(super) fn send(&mut self, number: u8) {
        if let Some(earlier) = self.untold.replace(number) {
            let publish = Publish::new(
                Bytes::from_static(TOPIC.as_bytes()),
                payload(earlier),
                false,
            );
            self.tx.buffer().push_back(Packet::Publish(publish, None));
        }
    }

    /// The next number; fails at once when the router dies. Cancel-safe.
    pub(super) async fn receive(&mut self) -> Result<u8, RouterGone> {
        if let Some(last) = self.untold.take() {
            let told = self.tx.try_publish(TOPIC, payload(last));
            told.map_err(|_| RouterGone)?;
        }
        loop {
            match self.rx.next().await {
                Ok(Some(Notification::Forward(forward))) => match forward.publish.payload[..] {
                    [number] => return Ok(number),
                    _ => tracing::error!("a message on the router was not ours; dropped"),
                },
                Ok(Some(Notification::DeviceAck(_))) => self.unanswered = None,
                Ok(Some(Notification::Unschedule)) => {
                    self.rx.wake().await.map_err(|_| RouterGone)?;
                }
                Ok(Some(Notification::Disconnect(..))) | Err(_) => return Err(RouterGone),
                Ok(_) => {}
            }
        }
    }

    /// To be called each second in which nothing has come: asks the router whether it lives, by a PINGREQ, and fails if it
    /// has not answered for too long.
    pub(super) async fn probe(&mut self) -> Result<(), RouterGone> {
        match &mut self.unanswered {
            Some(times) if *times >= UNANSWERED => return Err(RouterGone),
            Some(times) => *times += 1,
            None => {
                let question = self.tx.send(Packet::PingReq(PingReq)).await;
                question.map_err(|_| RouterGone)?;
                self.unanswered = Some(0);
            }
        }
        Ok(())
    }

    /// Makes the router's thread end, if it still runs or ever goes on: a topic that cannot be sliced at byte 1 panics it,
    /// and nothing else ends it.
    pub(super) fn end_router(mut self) {
        // If that cannot be handed over, the thread has ended.
        let _ = self.tx.try_publish("\u{e9}", "end");
    }
}
#[cfg(test)]
impl Router {
    /// Makes the router's thread panic; it has when this resolves, and no other task need have run since.
    pub(in crate::bus) async fn kill(&self) {
        let (mut tx, _rx) = self.link("killer".into()).await.unwrap();
        // Until nothing is taken any more.
        while tx.publish("\u{e9}", "end").is_ok() {}
    }

    /// Makes the router's thread wait until it is told to go on.
    pub(in crate::bus) async fn stall(&self) -> Stalled {
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
pub(in crate::bus) struct Stalled {
    go_on: std::sync::mpsc::Sender<()>,
    rx: LinkRx,
}

#[cfg(test)]
impl Stalled {
    /// Lets the thread go on, and waits until it has ended.
    pub(in crate::bus) async fn go_on_and_end(mut self) {
        drop(self.go_on);
        while self.rx.next().await.is_ok() {}
    }
}
