//! Notifications that a client does not acknowledge, for whatever reason: they hold up nothing else, and come again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use herald_acl::Actions;
use herald_broker::{Broker, Identity, Limits, Notification};
use parking_lot::Mutex;
use rstest::rstest;

use crate::{
    client::{
        Answer::{self, Pingresp, Suback},
        Client,
    },
    common::{
        encode::{Connect, V3, V5, ack, number, pingreq, subscribe},
        hosts,
        inbox::{self, Inboxes},
    },
    held::Held,
    setup::{connect, next, open, published, until},
};

/// Alice's inbox.
pub(crate) const INBOX: &str = "users/alice/notifications";

/// The number of the newest notification.
pub(crate) const NEWEST: i64 = 100;

/// No numbers.
pub(crate) const NONE: [i64; 0] = [];

/// An inbox whose texts say how often they were read.
#[derive(Default)]
pub(crate) struct Log {
    reads: AtomicUsize,
    /// What was acknowledged, in order.
    acknowledged: Mutex<Vec<i64>>,
}

impl Log {
    pub(crate) fn acknowledged(&self) -> Vec<i64> {
        std::mem::take(&mut *self.acknowledged.lock())
    }
}

impl inbox::Log for Log {
    fn newest(&self) -> i64 {
        NEWEST
    }

    fn read(&self, _: &Identity, after: i64, limit: usize) -> Vec<Notification> {
        let read = self.reads.fetch_add(1, Relaxed);
        let left = (after + 1)..=NEWEST;
        let notification = |seq| Notification {
            seq,
            payload: format!("{read:03}:{seq:03}").into(),
        };
        left.take(limit).map(notification).collect()
    }

    fn acknowledge(&self, _: Option<&Arc<str>>, up_to: i64) {
        self.acknowledged.lock().push(up_to);
    }
}

/// A broker with such an inbox.
pub(crate) async fn start() -> (Broker, Arc<Log>) {
    let log = Arc::<Log>::default();
    let limits = Limits {
        max_session_expiry_s: 60,
        ..Limits::default()
    };
    let inbox = Arc::new(Inboxes(log.clone()));
    let broker = hosts::broker_with(limits, Actions::Both, Arc::new(Held::new()), inbox);
    (broker.await, log)
}

/// A PUBLISH from the inbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came {
    pub(crate) seq: i64,
    /// The read of the inbox that it came from.
    pub(crate) read: usize,
    pub(crate) again: bool,
    /// 0 at QoS 0.
    pub(crate) id: u16,
}

/// Reads a notification.
pub(crate) fn came(answer: &Answer) -> Came {
    let packet = published(answer).expect("a notification");
    let (texts, at) = (packet.len() - 7, 2 + 2 + INBOX.len());
    let text = std::str::from_utf8(&packet[texts..]).expect("digits");
    let (read, seq) = text.split_once(':').expect("two numbers");
    let id = u16::from_be_bytes([packet[at], packet[at + 1]]);
    Came {
        seq: seq.parse().expect("a number"),
        read: read.parse().expect("a number"),
        again: packet[0] & 8 != 0,
        id: if packet[0] & 0b110 == 0 { 0 } else { id },
    }
}

/// All that comes until there is no more.
pub(crate) async fn all(client: &mut Client) -> Vec<Came> {
    let (mut all, mut silent) = (vec![], 0);
    // What a packet makes room for has to be read first, and follows behind the answers to the next ones.
    while silent < 4 {
        client.send(&pingreq()).await;
        silent += 1;
        loop {
            match next(client).await {
                Pingresp => break,
                answer => {
                    all.push(came(&answer));
                    silent = 0;
                }
            }
        }
    }
    all
}

/// Their numbers.
pub(crate) fn seqs(all: &[Came]) -> Vec<i64> {
    all.iter().map(|came| came.seq).collect()
}

/// Alice's phone, whose session is kept, and what it takes.
pub(crate) fn phone(version: u8, clean: bool, properties: &[Vec<u8>]) -> Connect {
    let mut connect = Connect {
        version,
        ..connect("phone", clean, 60)
    };
    if version == V3 {
        connect.properties.clear();
    } else {
        connect.properties.extend_from_slice(properties);
    }
    connect
}

/// Subscribes to the inbox.
pub(crate) async fn follow(client: &mut Client, version: u8, qos: u8) {
    let inbox = subscribe(version, 1, &[], &[(INBOX, qos)]);
    client.send(&inbox).await;
    assert_eq!(next(client).await, Suback(1, vec![qos]));
}

/// The connection breaks.
pub(crate) async fn leave(broker: &Broker, client: Client) {
    drop(client);
    until(|| broker.connected() == 0).await;
}

/// With a receive maximum of 2, of which one is used up for good.
#[tokio::test]
async fn one_that_is_never_acknowledged_holds_up_no_other_and_comes_first_again() {
    let (broker, log) = start().await;
    let two = [number(0x21, &[0, 2])];
    let mut client = open(&broker, &phone(V5, false, &two)).await;
    follow(&mut client, V5, 1).await;
    let first = came(&next(&mut client).await);
    for seq in 2..=NEWEST {
        let came = came(&next(&mut client).await);
        assert_eq!(came.seq, seq);
        client.send(&ack(0x40, came.id)).await;
    }
    assert_eq!(seqs(&all(&mut client).await), NONE);
    assert_eq!(log.acknowledged(), NONE);
    leave(&broker, client).await;

    let mut client = open(&broker, &phone(V5, false, &two)).await;
    let again = all(&mut client).await;
    assert_eq!(seqs(&again), [1]);
    assert!(again[0].again && again[0].id == first.id, "{again:?}");
    assert_eq!(log.acknowledged(), NONE);
    client.send(&ack(0x40, first.id)).await;
    assert_eq!(seqs(&all(&mut client).await), NONE);
    assert_eq!(log.acknowledged(), [NEWEST]);
}

/// A session without a connection has no payloads: what it sends again it has read again.
#[rstest]
#[tokio::test]
async fn what_is_sent_again_is_read_again(#[values(V3, V5)] version: u8) {
    let (broker, log) = start().await;
    let mut client = open(&broker, &phone(version, false, &[])).await;
    follow(&mut client, version, 1).await;
    let first = all(&mut client).await;
    assert_eq!(seqs(&first), (1..=32).collect::<Vec<_>>());
    // Some are acknowledged meanwhile, so that there are gaps.
    for came in first.iter().filter(|came| came.seq % 3 == 0) {
        client.send(&ack(0x40, came.id)).await;
    }
    let more = all(&mut client).await;
    assert_eq!(seqs(&more), (33..=42).collect::<Vec<_>>());
    leave(&broker, client).await;
    let reads = log.reads.load(Relaxed);
    let mut client = open(&broker, &phone(version, false, &[])).await;
    let again = all(&mut client).await;
    let left = first.iter().filter(|came| came.seq % 3 != 0).chain(&more);
    let left: Vec<_> = left.map(|came| (came.seq, came.id)).collect();
    let came: Vec<_> = again.iter().map(|came| (came.seq, came.id)).collect();
    assert_eq!(came, left);
    let fresh = again.iter().all(|came| came.again && came.read >= reads);
    assert!(fresh, "{again:?}");
    assert_eq!(log.acknowledged(), NONE);
}

/// What went at QoS 0 is acknowledged by nobody.
#[rstest]
#[tokio::test]
async fn what_went_at_qos_0_is_not_acknowledged_by_what_follows(#[values(V3, V5)] version: u8) {
    let (broker, log) = start().await;
    let mut client = open(&broker, &phone(version, false, &[])).await;
    follow(&mut client, version, 0).await;
    assert_eq!(all(&mut client).await.len(), NEWEST as usize);
    follow(&mut client, version, 1).await;
    // One more, which is acknowledged.
    let newest = Notification {
        seq: NEWEST + 1,
        payload: format!("000:{}", NEWEST + 1).into(),
    };
    broker.notify("alice", &crate::setup::alice(), &newest);
    let one_more = all(&mut client).await;
    assert_eq!(seqs(&one_more), [NEWEST + 1]);
    client.send(&ack(0x40, one_more[0].id)).await;
    assert_eq!(seqs(&all(&mut client).await), NONE);
    assert_eq!(log.acknowledged(), NONE);
    leave(&broker, client).await;

    let mut client = open(&broker, &phone(version, false, &[])).await;
    let mut got = vec![];
    while got.len() < NEWEST as usize {
        let came = came(&next(&mut client).await);
        got.push(came.seq);
        client.send(&ack(0x40, came.id)).await;
    }
    assert_eq!(got, (1..=NEWEST).collect::<Vec<_>>());
    assert_eq!(seqs(&all(&mut client).await), NONE);
    assert_eq!(log.acknowledged().last(), Some(&(NEWEST + 1)));
}

#[tokio::test]
async fn what_was_too_large_comes_to_the_client_that_takes_larger_ones() {
    let (broker, log) = start().await;
    let small = [number(0x27, &[0, 0, 0, 50])];
    let mut client = open(&broker, &phone(V5, false, &small)).await;
    client.send(&subscribe(V5, 1, &[], &[(INBOX, 1)])).await;
    assert_eq!(next(&mut client).await, Suback(1, vec![1]));
    assert_eq!(seqs(&all(&mut client).await), NONE);
    leave(&broker, client).await;

    let mut client = open(&broker, &phone(V5, false, &[])).await;
    let got = all(&mut client).await;
    assert_eq!(seqs(&got), (1..=32).collect::<Vec<_>>());
    for came in &got {
        client.send(&ack(0x40, came.id)).await;
    }
    all(&mut client).await;
    assert_eq!(log.acknowledged().last(), Some(&32));
}
