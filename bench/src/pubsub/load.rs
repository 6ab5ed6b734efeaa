//! Publishers and subscribers of one shared topic.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::AsyncWriteExt as _,
    net::tcp::OwnedWriteHalf,
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    client::Receiver,
    clock,
    crowd::{connect, for_each, open},
    figures::percentile,
    packets::{self, Packet},
    servers,
    transport::Target,
};

const TOPIC: &str = "broadcast/bench";

/// Bytes of a message.
const PAYLOAD_BYTES: usize = 100;

/// Messages under way at once while the throughput is measured: fewer than any of the servers queues for a subscriber.
pub(crate) const UNDER_WAY: usize = 100;

/// How long each of the two parts takes.
const PART: Duration = Duration::from_secs(3);

/// A message that has not arrived everywhere by then is lost.
const LOST: Duration = Duration::from_secs(2);

/// Messages of one part, at most.
const MOST: usize = 2_000_000;

/// Who publishes to whom.
pub(crate) struct Shape {
    pub(crate) publishers: usize,
    pub(crate) subscribers: usize,
    /// Messages a second while the latency is measured.
    rate: u32,
}

pub(crate) const SHAPES: [Shape; 3] = [
    Shape {
        publishers: 1,
        subscribers: 1,
        rate: 500,
    },
    Shape {
        publishers: 1,
        subscribers: 500,
        rate: 10,
    },
    Shape {
        publishers: 500,
        subscribers: 1,
        rate: 500,
    },
];

/// What the figures stand for.
pub(crate) fn terms() -> String {
    let rates: Vec<String> = SHAPES
        .iter()
        .map(|s| format!("{} to {}: {}/s", s.publishers, s.subscribers, s.rate))
        .collect();
    format!(
        "{PAYLOAD_BYTES} bytes over TCP. Throughput: {} s with at most {UNDER_WAY} messages under way.\n\
         CPU: the server's processor time for one delivery. Latency: {} s at a rate below saturation ({}).",
        PART.as_secs(),
        PART.as_secs(),
        rates.join(", ")
    )
}

/// What came of it.
pub(crate) struct Measured {
    /// Messages delivered a second.
    pub(crate) rate: f64,
    /// The server's processor time for one delivery, in microseconds.
    pub(crate) cpu: f64,
    /// From the publisher's socket to a subscriber, in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Deliveries that did not come.
    pub(crate) lost: u64,
}

/// What the subscribers have seen.
struct Seen {
    subscribers: u32,
    /// By number of the message, how many have it.
    arrivals: Vec<AtomicU32>,
    delivered: AtomicU64,
    /// Room for more messages under way.
    room: Semaphore,
    /// The first message whose latency counts.
    timed_from: AtomicU64,
}

/// A gathered crowd.
pub(crate) struct Load {
    shape: &'static Shape,
    qos: u8,
    publishers: Vec<OwnedWriteHalf>,
    seen: Arc<Seen>,
    /// In microseconds, by subscriber.
    took: Vec<Arc<Mutex<Vec<f64>>>>,
    /// Ended when dropped.
    reading: JoinSet<()>,
}

impl Load {
    /// Connects all: publishers to one server, and subscribers to another one or the same.
    pub(crate) async fn gather(
        [publish_at, subscribe_at]: [&Target; 2],
        shape: &'static Shape,
        qos: u8,
    ) -> anyhow::Result<Self> {
        let targets = [publish_at, subscribe_at].map(|target| Arc::new(target.clone()));
        let join = move |(login, subscribes)| {
            let target = targets[usize::from(subscribes)].clone();
            async move {
                let (mut client, _) = connect(open(target, login).await?).await?;
                if subscribes {
                    client.subscribe(TOPIC, qos).await?;
                }
                Ok((client, subscribes))
            }
        };
        let subscribers = servers::users(shape.subscribers).into_iter();
        let publishers = servers::publishers(shape.publishers).into_iter();
        let all = subscribers
            .map(|s| (s, true))
            .chain(publishers.map(|p| (p, false)));
        let all: Vec<_> = all.collect();
        let expected = all.len();
        let clients = for_each(all, join).await;
        anyhow::ensure!(clients.len() == expected, "not all clients connected");
        let mut load = Self {
            shape,
            qos,
            publishers: vec![],
            seen: Arc::new(Seen {
                subscribers: shape.subscribers as u32,
                arrivals: (0..MOST).map(|_| AtomicU32::new(0)).collect(),
                delivered: AtomicU64::new(0),
                room: Semaphore::new(UNDER_WAY),
                timed_from: AtomicU64::new(u64::MAX),
            }),
            took: vec![],
            reading: JoinSet::new(),
        };
        for (client, subscribes) in clients {
            let (receiver, writer) = client.split()?;
            if subscribes {
                let took = Arc::<Mutex<Vec<f64>>>::default();
                load.took.push(took.clone());
                let seen = load.seen.clone();
                load.reading.spawn(listen(receiver, writer, seen, took));
            } else {
                load.publishers.push(writer);
                load.reading.spawn(drain(receiver));
            }
        }
        Ok(load)
    }

    /// Measures both parts; `cpu` is the processor time that was taken so far by whatever carries the messages.
    pub(crate) async fn measure(
        mut self,
        cpu: impl Fn() -> anyhow::Result<Duration>,
    ) -> anyhow::Result<Measured> {
        // Signing in is not measured.
        sleep(Duration::from_millis(300)).await;
        let (before, start) = (cpu()?, Instant::now());
        let flooded = self.flood().await?;
        // What is under way at the end of the part belongs to it, and so does its time.
        let delivered = self.all_arrived(flooded).await;
        let rate = delivered.count as f64 / (delivered.last - start).as_secs_f64();
        let cpu = cpu()?.saturating_sub(before).as_secs_f64() * 1e6 / delivered.count as f64;

        self.seen.timed_from.store(flooded, Ordering::Release);
        let published = self.trickle(flooded).await?;
        let total = self.all_arrived(published).await.count;
        let mut took: Vec<f64> = vec![];
        for of_one in &self.took {
            took.append(&mut of_one.lock());
        }
        Ok(Measured {
            rate,
            cpu,
            p50: percentile(&mut took, 0.5),
            p99: percentile(&mut took, 0.99),
            lost: (published * self.shape.subscribers as u64).saturating_sub(total),
        })
    }

    /// Publishes as fast as there is room; returns how many.
    async fn flood(&mut self) -> anyhow::Result<u64> {
        let next = Arc::new(AtomicU64::new(0));
        let deadline = Instant::now() + PART;
        let mut tasks = JoinSet::new();
        for mut writer in self.publishers.drain(..) {
            let (next, seen, qos) = (next.clone(), self.seen.clone(), self.qos);
            tasks.spawn(async move {
                let mut packet_id = 0;
                while Instant::now() < deadline {
                    // Should messages be lost, so is their room: then it goes on without.
                    if let Ok(Ok(room)) = timeout(LOST / 4, seen.room.acquire()).await {
                        room.forget();
                    }
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    anyhow::ensure!((number as usize) < MOST / 2, "too many messages");
                    publish(&mut writer, qos, &mut packet_id, number).await?;
                }
                Ok(writer)
            });
        }
        while let Some(writer) = tasks.join_next().await {
            self.publishers.push(writer??);
        }
        Ok(next.load(Ordering::Relaxed))
    }

    /// Publishes at the shape's rate, numbered from `first`; returns the number after the last.
    async fn trickle(&mut self, first: u64) -> anyhow::Result<u64> {
        let mut ticks = interval(Duration::from_secs(1) / self.shape.rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let count = u64::from(self.shape.rate) * PART.as_secs();
        let mut packet_ids = vec![30_000_u16; self.publishers.len()];
        for i in 0..count {
            ticks.tick().await;
            let at = i as usize % self.publishers.len();
            let writer = &mut self.publishers[at];
            publish(writer, self.qos, &mut packet_ids[at], first + i).await?;
        }
        Ok(first + count)
    }

    /// Waits until all that was published has arrived everywhere, or nothing more comes.
    async fn all_arrived(&self, published: u64) -> Delivered {
        let expected = published * self.shape.subscribers as u64;
        let count = || self.seen.delivered.load(Ordering::Acquire);
        let mut delivered = Delivered {
            count: count(),
            last: Instant::now(),
        };
        while delivered.count < expected && delivered.last.elapsed() < LOST {
            sleep(Duration::from_millis(1)).await;
            let now = count();
            if now > delivered.count {
                delivered = Delivered {
                    count: now,
                    last: Instant::now(),
                };
            }
        }
        delivered
    }
}

struct Delivered {
    count: u64,
    last: Instant,
}

async fn publish(
    writer: &mut OwnedWriteHalf,
    qos: u8,
    packet_id: &mut u16,
    number: u64,
) -> anyhow::Result<()> {
    *packet_id = packet_id.wrapping_add(1).max(1);
    let mut payload = [0; PAYLOAD_BYTES];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    payload[8..16].copy_from_slice(&clock::now().to_be_bytes());
    let packet = packets::publish(TOPIC, (qos > 0).then_some(*packet_id), &payload);
    Ok(writer.write_all(&packet).await?)
}

/// Acknowledges what comes, all that is there at once, until the server goes.
async fn listen(
    mut receiver: Receiver,
    mut writer: OwnedWriteHalf,
    seen: Arc<Seen>,
    took: Arc<Mutex<Vec<f64>>>,
) {
    let mut acknowledgements = vec![];
    while let Ok(first) = receiver.next().await {
        let arrived = clock::now();
        let mut packet = Some(first);
        while let Some(Packet::Publish { packet_id, payload }) = packet {
            seen.note(&payload, arrived, &took);
            acknowledgements.extend(packet_id.into_iter().flat_map(packets::puback));
            packet = receiver.waiting().ok().flatten();
        }
        if !acknowledgements.is_empty() && writer.write_all(&acknowledgements).await.is_err() {
            return;
        }
        acknowledgements.clear();
    }
}

/// Reads acknowledgements, or the server would stop reading.
async fn drain(mut receiver: Receiver) {
    while receiver.next().await.is_ok() {}
}

impl Seen {
    fn note(&self, payload: &[u8], arrived: u64, took: &Mutex<Vec<f64>>) {
        let number = |at: usize| {
            let bytes = payload.get(at..).and_then(<[u8]>::first_chunk);
            bytes.copied().map_or(u64::MAX, u64::from_be_bytes)
        };
        let (number, made) = (number(0), number(8));
        let Some(arrivals) = self.arrivals.get(number as usize) else {
            return;
        };
        if arrivals.fetch_add(1, Ordering::Relaxed) + 1 == self.subscribers {
            self.room.add_permits(1);
        }
        self.delivered.fetch_add(1, Ordering::Release);
        if number >= self.timed_from.load(Ordering::Acquire) {
            took.lock().push(arrived.saturating_sub(made) as f64 / 1e3);
        }
    }
}
