//! One session under every order of bytes, refills of its rate, acknowledgements and mail. It is driven without a stream.
//!
//! Time stands still but where a step or a host lets it pass, and each call of a host may take some: so a session that asks
//! twice what time it is gets two answers.

mod host;
mod peer;

use std::{sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use herald_broker::Broker;
use proptest::{prelude::*, test_runner::TestRunner};
use tokio::time::{Instant, timeout};

use crate::{
    client::Answer,
    common::{
        encode::{Connect, V3, V5, Will, ack, packet, pingreq, publish, subscribe},
        inbox::notification,
    },
    setup::{SEND, alice, published},
};
use host::{RATE, World};
use peer::{Peer, settle};

/// What the client says, in this order.
#[derive(Clone, Debug)]
enum Say {
    /// A message that is stored at once, or when it is let go.
    Publish {
        qos: u8,
        held: bool,
        long: bool,
    },
    /// To where the client may not publish.
    Denied {
        qos: u8,
    },
    Ping,
    Subscribe,
}

/// What happens next.
#[derive(Clone, Debug)]
enum Move {
    Write(usize),
    Read(usize),
    Pass(u64),
    LetGo,
    Notify,
    Acknowledge(usize),
}

#[derive(Clone, Debug)]
struct Case {
    v5: bool,
    capacity: usize,
    call_ms: u64,
    says: Vec<Say>,
    steps: Vec<Move>,
}

fn cases() -> impl Strategy<Value = Case> {
    let say = prop_oneof![
        6 => (0_u8..2, any::<bool>(), any::<bool>()).prop_map(|(qos, held, long)| Say::Publish { qos, held, long }),
        2 => (0_u8..2).prop_map(|qos| Say::Denied { qos }),
        1 => Just(Say::Ping),
        1 => Just(Say::Subscribe),
    ];
    let step = prop_oneof![
        6 => (1_usize..200).prop_map(Move::Write),
        4 => (1_usize..200).prop_map(Move::Read),
        3 => (1_u64..400).prop_map(Move::Pass),
        2 => Just(Move::LetGo),
        2 => Just(Move::Notify),
        2 => (0_usize..8).prop_map(Move::Acknowledge),
    ];
    (
        any::<bool>(),
        prop_oneof![1_usize..40, 200_usize..4000],
        0_u64..200,
        prop::collection::vec(say, 0..40),
        prop::collection::vec(step, 0..60),
    )
        .prop_map(|(v5, capacity, call_ms, says, steps)| Case {
            v5,
            capacity,
            call_ms,
            says,
            steps,
        })
}

/// What should come of a case, and what has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// PUBACKs with their codes, in order.
    pubacks: Vec<(u16, u8)>,
    pongs: usize,
    subacks: Vec<u16>,
    /// The bodies of messages.
    bodies: Vec<String>,
    /// The numbers of notifications.
    seqs: Vec<i64>,
}

impl Outcome {
    /// Notes an answer. Returns the identifier of what is to be acknowledged.
    fn note(&mut self, answer: &Answer) -> Option<u16> {
        match answer {
            Answer::Puback(id, code) => self.pubacks.push((*id, *code)),
            Answer::Pingresp => self.pongs += 1,
            Answer::Suback(id, codes) => {
                assert_eq!(*codes, [1]);
                self.subacks.push(*id);
            }
            Answer::Other(_) => {
                let packet = published(answer).expect("a PUBLISH");
                let at = packet.windows(7).rposition(|w| w == br#"{"seq":"#);
                let seq = &packet[at.expect("a notification") + 7..packet.len() - 1];
                let seq = std::str::from_utf8(seq).expect("digits");
                self.seqs.push(seq.parse().expect("a number"));
                let header = 2 + 2 + INBOX.len();
                return Some(u16::from_be_bytes([packet[header], packet[header + 1]]));
            }
            other => panic!("{other:?}"),
        }
        None
    }
}

const INBOX: &str = "users/alice/notifications";

/// The bytes of all that is said, and what should be answered.
fn script(case: &Case, version: u8) -> (Vec<u8>, Outcome) {
    let mut bytes = vec![];
    let mut expected = Outcome::default();
    for (n, say) in (2_u16..).zip(&case.says) {
        match say {
            Say::Publish { qos, held, long } => {
                let word = if *held { "held" } else { "taken" };
                let padding = if *long { 300 } else { 0 };
                let body = format!("{word} {n} {}", "x".repeat(padding));
                let payload = format!(r#"{{"body":"{body}"}}"#);
                bytes.extend(publish(version, qos << 1, SEND, n, &[], &payload));
                expected.bodies.push(body);
                if *qos > 0 {
                    expected.pubacks.push((n, 0));
                }
            }
            Say::Denied { qos } => {
                bytes.extend(publish(version, qos << 1, "rooms/bob/1", n, &[], "x"));
                if *qos > 0 {
                    expected
                        .pubacks
                        .push((n, if version == V5 { 0x87 } else { 0 }));
                }
            }
            Say::Ping => {
                bytes.extend(pingreq());
                expected.pongs += 1;
            }
            Say::Subscribe => {
                bytes.extend(subscribe(version, n, &[], &[(INBOX, 1)]));
                expected.subacks.push(n);
            }
        }
    }
    (bytes, expected)
}

async fn run(broker: &Broker, world: &Arc<World>, case: &Case) {
    world.reset();
    let version = if case.v5 { V5 } else { V3 };
    let mut peer = Peer::new(broker, version, case.capacity);
    let connect = Connect {
        keep_alive: 30,
        will: Some(Will {
            qos: 1,
            retain: false,
            topic: SEND,
            payload: r#"{"body":"the will"}"#,
            properties: vec![],
        }),
        ..Connect::new(version)
    };
    peer.queue(&connect.bytes());
    peer.queue(&subscribe(version, 1, &[], &[(INBOX, 1)]));
    let mut begun = vec![];
    while begun.len() < 2 {
        begun.extend(peer.exchange().await.expect("the session begins"));
    }
    assert_eq!(begun, [Answer::Connack(0), Answer::Suback(1, vec![1])]);
    world.call_ms.store(case.call_ms, Relaxed);
    let (bytes, mut expected) = script(case, version);
    peer.queue(&bytes);
    let mut got = Outcome::default();
    let mut unacknowledged = vec![];
    for step in &case.steps {
        match step {
            Move::Write(count) => peer.write(*count).await,
            Move::Read(count) => {
                for answer in peer.read(*count).await {
                    unacknowledged.extend(got.note(&answer));
                }
            }
            Move::Pass(ms) => tokio::time::advance(Duration::from_millis(*ms)).await,
            Move::LetGo => world.let_go.add_permits(1),
            Move::Notify => {
                let seq = world.newest.fetch_add(1, Relaxed) + 1;
                broker.notify("alice", &alice(), &notification(seq));
            }
            Move::Acknowledge(at) => {
                if !unacknowledged.is_empty() {
                    let id = unacknowledged.remove(at % unacknowledged.len());
                    peer.queue(&ack(0x40, id));
                }
            }
        }
        peer.settle().await;
    }
    // Nothing is in the way any more: all that was said is answered as fast as the rate allows.
    world.let_go.add_permits(case.says.len());
    expected.seqs = (1..=world.newest.load(Relaxed)).collect();
    let began = Instant::now();
    while got.seqs.len() < expected.seqs.len()
        || got.pubacks.len() < expected.pubacks.len()
        || got.pongs < expected.pongs
        || got.subacks.len() < expected.subacks.len()
    {
        for id in unacknowledged.drain(..) {
            peer.queue(&ack(0x40, id));
        }
        let answers = peer.exchange().await.expect("the session goes on");
        for answer in answers {
            unacknowledged.extend(got.note(&answer));
        }
    }
    for id in unacknowledged {
        peer.queue(&ack(0x40, id));
    }
    peer.queue(&packet(0xE0, &[]));
    while let Some(answers) = peer.exchange().await {
        for answer in answers {
            got.note(&answer);
        }
    }
    let calls = 3 * (case.says.len() + expected.seqs.len() + 1) as u64;
    let most = Duration::from_secs((case.says.len() as u64).div_ceil(RATE.into()) + 1)
        + Duration::from_millis(case.call_ms * calls);
    assert!(began.elapsed() <= most, "{:?}", began.elapsed());
    got.bodies = world.came.lock().clone();
    assert_eq!(got, expected);
    assert_eq!(
        world.acknowledged.load(Relaxed),
        expected.seqs.last().copied().unwrap_or(0)
    );
    while broker.sessions() > 0 {
        settle().await;
    }
}

#[test]
fn everything_is_answered_in_order_and_nothing_is_left_unread_that_may_be_read() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (broker, world) = runtime.block_on(async {
        let started = World::start().await;
        // The router of shared topics has begun, which is a thread and takes its time.
        tokio::time::pause();
        started
    });
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let ran = runner.run(&cases(), |case| {
        let day = Duration::from_secs(24 * 3600);
        let run = async { timeout(day, run(&broker, &world, &case)).await };
        assert!(runtime.block_on(run).is_ok(), "silence");
        Ok(())
    });
    ran.unwrap_or_else(|e| panic!("{e}"));
}
