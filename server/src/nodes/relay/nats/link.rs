//! The connection to NATS: what goes out, and what comes in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, Statistics, Subscriber, connection::State};
use futures_util::StreamExt as _;
use herald_broker::Broker;
use herald_store::{NodeId, Store};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::outgoing::Outgoing;
use super::parcel::{Arrivals, HEADER, Parcel, bundles, frames_of};
use super::under_way::{Batch, UnderWay};
use crate::nodes::Standing;

/// How often a server says how far it has come.
const BEAT: Duration = Duration::from_secs(1);

/// How long is waited for the client to take what is sent.
const ROOM: Duration = Duration::from_secs(3);

/// Most bytes of a message with its header: so many wait to be read.
const MESSAGE: usize = 16 * 1024;

pub(super) struct Link {
    store: Store,
    client: Client,
    statistics: Arc<Statistics>,
    outgoing: Arc<Outgoing>,
    under_way: Mutex<UnderWay>,
    came_back: Notify,
    /// How many frames were lost that were not counted yet.
    lost: AtomicU64,
    /// What the client last complained of.
    trouble: Arc<Mutex<String>>,
}

impl Link {
    pub(super) fn new(
        store: Store,
        client: Client,
        outgoing: Arc<Outgoing>,
        trouble: Arc<Mutex<String>>,
    ) -> Self {
        Self {
            store,
            statistics: client.statistics(),
            client,
            outgoing,
            under_way: Mutex::default(),
            came_back: Notify::new(),
            lost: AtomicU64::new(0),
            trouble,
        }
    }

    /// Which connection there is, if there is one.
    fn connection(&self) -> Option<u64> {
        // The number comes before the state: a connection that has come meanwhile is another one.
        let number = self.statistics.connects.load(Ordering::Acquire);
        (self.client.connection_state() == State::Connected).then_some(number)
    }

    fn lose(&self, frames: u64) {
        self.lost.fetch_add(frames, Ordering::Relaxed);
    }

    /// What is under way is not waited for.
    pub(super) fn give_up_all(&self) {
        self.lose(self.under_way.lock().give_up(None));
    }

    /// Sends what waits to this subject, for ever. `number` is that of the last piece.
    pub(super) async fn send(&self, subject: &str, number: &mut u64) {
        let mut in_trouble = false;
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once.
        beat.tick().await;
        loop {
            let is_beat = tokio::select! {
                _ = beat.tick() => true,
                () = self.outgoing.came.notified() => false,
            };
            self.room().await;
            if is_beat {
                self.note(&mut in_trouble);
            }
            self.send_due(subject, number, is_beat).await;
        }
    }

    /// Logs when trouble begins and ends.
    fn note(&self, in_trouble: &mut bool) {
        let was = *in_trouble;
        *in_trouble = self.connection().is_none() || self.under_way.lock().is_silent();
        match (was, *in_trouble) {
            (false, true) => tracing::warn!(
                error = *self.trouble.lock(),
                "the NATS server of shared topics (cluster.relay) does not answer: they stay within this server"
            ),
            (true, false) => tracing::info!("the NATS server of shared topics answers again"),
            _ => {}
        }
    }

    /// Waits until what is under way leaves room for more.
    async fn room(&self) {
        loop {
            {
                let mut under_way = self.under_way.lock();
                self.lose(under_way.give_up(self.connection()));
                if under_way.has_room() {
                    return;
                }
            }
            // What does not come back is given up in time.
            let _ = timeout(BEAT, self.came_back.notified()).await;
        }
    }

    /// Sends what waits, and at a beat how far it has come. What cannot be sent is lost; the others see that a number is missing.
    async fn send_due(&self, subject: &str, number: &mut u64, is_beat: bool) {
        let due = self.outgoing.take();
        if due.lost > 0 {
            self.lose(due.lost);
            *number += 1;
        }
        let frames = due.frames.len() as u64;
        let Some((connection, node)) = self.connection().zip(self.store.node()) else {
            self.lose(frames);
            *number += u64::from(frames > 0);
            return;
        };
        let most = self.client.max_payload().min(MESSAGE);
        let size = most.saturating_sub(HEADER).max(1);
        let mut parcels: Vec<_> = bundles(&due.frames, size)
            .into_iter()
            .flat_map(|bundle| Parcel::pieces(&node, number, &bundle, size))
            .collect();
        if is_beat {
            parcels.push(Parcel::beat(&node, *number));
        }
        if parcels.is_empty() {
            return;
        }
        // It is there before it comes back.
        self.under_way.lock().push(
            &node,
            Batch {
                number: *number,
                connection,
                at: Instant::now(),
                frames,
                bytes: due.bytes,
                taken: due.taken,
            },
        );
        if timeout(ROOM, self.publish(subject, &parcels)).await != Ok(true) {
            // Nothing that comes back later says that all of it was sent.
            if let Some(batch) = self.under_way.lock().take_back(*number) {
                self.lose(batch.frames);
            }
            *number += 1;
        }
    }

    /// Returns whether the client has taken all.
    async fn publish(&self, subject: &str, parcels: &[Parcel]) -> bool {
        for parcel in parcels {
            let Some(message) = parcel.encode() else {
                return false;
            };
            let sent = self.client.publish(subject.to_owned(), message).await;
            if sent.is_err() {
                return false;
            }
        }
        true
    }

    /// Hands what comes to `broker`, as long as this server stands, until the client ends.
    pub(super) async fn receive(
        &self,
        mut messages: Subscriber,
        mut others: watch::Receiver<Arc<[NodeId]>>,
        broker: &Broker,
        standing: &Standing,
    ) {
        let mut arrivals = Arrivals::default();
        let mut count = interval(BEAT);
        count.set_missed_tick_behavior(MissedTickBehavior::Delay);
        others.mark_changed();
        loop {
            tokio::select! {
                Ok(()) = others.changed() => {
                    let others = others.borrow_and_update().clone();
                    arrivals.retain(&others);
                    broker.know_neighbours(others.iter().map(|node| node.as_str().into()));
                    // What one that has come has sent before, and one that is gone could not send any more.
                    broker.missed_frames();
                }
                message = messages.next() => {
                    let Some(message) = message else {
                        return;
                    };
                    let Some(parcel) = Parcel::parse(message.payload) else {
                        continue;
                    };
                    self.take(parcel, &mut arrivals, broker, standing).await;
                }
                _ = count.tick() => broker.lost_frames(self.lost.swap(0, Ordering::Relaxed)),
            }
        }
    }

    async fn take(
        &self,
        parcel: Parcel,
        arrivals: &mut Arrivals,
        broker: &Broker,
        standing: &Standing,
    ) {
        if self.is_own(&parcel) {
            return;
        }
        let from = parcel.node.as_str().into();
        let taken = arrivals.take(parcel);
        if taken.missed {
            self.lose(taken.lost);
            broker.missed_frames();
        }
        for frame in taken.bundle.into_iter().flat_map(frames_of) {
            if standing.stands() {
                broker.receive_frame(&from, frame).await;
            }
        }
    }

    /// Whether this server has sent it. Then it has come back.
    fn is_own(&self, parcel: &Parcel) -> bool {
        let mut under_way = self.under_way.lock();
        let is_own = under_way.is_own(&parcel.node);
        if is_own {
            self.lose(under_way.came_back(parcel.number, self.connection()));
            self.came_back.notify_one();
        }
        is_own
    }
}
