//! Carries frames through the database.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use herald_broker::{Broker, Neighbours};
use herald_store::{NodeChannel, NodeFrames, Purpose, Received, Store};
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::clock::now;
use super::pieces::{FRAME, Pieces, pieces};
use crate::nodes::Standing;

/// How often it is counted what was lost.
const COUNT: Duration = Duration::from_secs(1);

/// The way to the other servers through the database.
pub(super) struct DatabaseRelay {
    channel: NodeChannel,
    /// Of the last frame.
    number: AtomicU64,
}

/// What comes from them through the database.
pub(crate) struct DatabaseFrames {
    pub(super) channel: NodeChannel,
    frames: NodeFrames,
}

impl DatabaseRelay {
    /// That of a server whose database is `store`; `None` if that is a file, which is one server's.
    pub(super) fn of(store: &Store) -> Option<(Arc<Self>, DatabaseFrames)> {
        let (channel, frames) = NodeChannel::of(store, Purpose::SharedTopics)?;
        let relay = Self {
            channel: channel.clone(),
            number: AtomicU64::new(0),
        };
        Some((Arc::new(relay), DatabaseFrames { channel, frames }))
    }
}

impl Neighbours for DatabaseRelay {
    fn are_there(&self) -> bool {
        !self.channel.is_alone()
    }

    fn send(&self, frame: Bytes, taken: Option<oneshot::Sender<()>>) {
        if frame.len() > FRAME {
            tracing::error!(
                bytes = frame.len(),
                "a frame is too large for other servers"
            );
            return;
        }
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        // The numbers need not be in order: they tell frames apart.
        self.channel.send_all(pieces(number, &frame), taken);
    }

    fn now(&self) -> SystemTime {
        now()
    }
}

impl DatabaseFrames {
    /// Sends what waits, and hands what comes to `broker`, until stopped.
    pub(super) async fn run(self, broker: &Broker, standing: &Standing, stop: CancellationToken) {
        let Self { channel, frames } = self;
        let both = async {
            tokio::join!(
                channel.run(stop.clone()),
                receive(&channel, frames, broker, standing)
            )
        };
        stop.run_until_cancelled(both).await;
    }
}

async fn receive(
    channel: &NodeChannel,
    mut frames: NodeFrames,
    broker: &Broker,
    standing: &Standing,
) {
    let (mut others, mut pieces) = (channel.others(), Pieces::default());
    let mut count = interval(COUNT);
    count.set_missed_tick_behavior(MissedTickBehavior::Delay);
    others.mark_changed();
    loop {
        tokio::select! {
            Ok(()) = others.changed() => {
                let others = others.borrow_and_update().clone();
                pieces.retain(&others);
                broker.know_neighbours(others.iter().map(|node| node.as_str().into()));
            }
            received = frames.next() => match received {
                Received::Missed => broker.missed_frames(),
                Received::Frame { from, frame } => {
                    let frame = pieces.take(&from, &frame);
                    if let Some(frame) = frame && standing.stands() {
                        broker.receive_frame(&from.as_str().into(), frame).await;
                    }
                }
            },
            _ = count.tick() => broker.lost_frames(channel.take_lost()),
        }
    }
}
