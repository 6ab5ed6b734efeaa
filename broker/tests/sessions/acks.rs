//! Acknowledgements in every order: late, repeated, of nothing, and around reconnects.

use std::collections::BTreeMap;

use herald_broker::Broker;
use proptest::{prelude::*, test_runner::TestRunner};

use crate::{
    client::{Answer, Client},
    common::encode::{Connect, V3, V5, ack, number, pingreq, publish, subscribe},
    setup::{ask, connect, next, open, published, start, until},
};

/// What may happen.
#[derive(Clone, Debug)]
enum Event {
    /// Somebody publishes at this level.
    Publish(u8),
    /// The client says PUBACK, PUBREC or PUBCOMP of one of the identifiers it was sent, by its place among them, or of one that never was.
    Acknowledge(u8, usize),
    /// The client is away, and comes back with this receive maximum.
    Reconnect(u8),
}

fn steps() -> impl Strategy<Value = Vec<Event>> {
    let ack = prop::sample::select(vec![0x40_u8, 0x50, 0x50, 0x70]);
    let step = prop_oneof![
        3 => (1_u8..3).prop_map(Event::Publish),
        6 => (ack, 0_usize..6).prop_map(|(ack, at)| Event::Acknowledge(ack, at)),
        1 => (1_u8..5).prop_map(Event::Reconnect),
    ];
    prop::collection::vec(step, 0..40)
}

/// What an identifier stands for, on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Flow {
    Sent { qos: u8, payload: String },
    Released,
}

struct Phone {
    client: Client,
    version: u8,
    /// How many PUBLISHes it takes at once.
    window: usize,
    flows: BTreeMap<u16, Flow>,
    /// What has come on this connection and is not done.
    here: Vec<u16>,
    got: Vec<String>,
}

impl Phone {
    async fn connect(broker: &Broker, version: u8, clean: bool, window: u8) -> Client {
        let mut connect = Connect {
            version,
            ..connect("phone", clean, 60)
        };
        connect.properties.push(number(0x21, &[0, window]));
        if version == V3 {
            connect.properties.clear();
        }
        open(broker, &connect).await
    }

    /// Reads all that comes, and returns which PUBRELs did.
    async fn read(&mut self) -> Vec<(u16, u8)> {
        let mut released = vec![];
        // What a packet makes room for follows behind the answer to the next one.
        for _ in 0..2 {
            self.client.send(&pingreq()).await;
            loop {
                match next(&mut self.client).await {
                    Answer::Pingresp => break,
                    Answer::Pubrel(id, code) => released.push((id, code)),
                    answer => self.take(&answer),
                }
            }
        }
        released
    }

    fn take(&mut self, answer: &Answer) {
        let packet = published(answer).expect("nothing else is to come");
        let (dup, qos) = (packet[0] & 8 != 0, packet[0] >> 1 & 3);
        let at = 2 + 2 + "notice".len();
        let id = u16::from_be_bytes([packet[at], packet[at + 1]]);
        let body = &packet[at + 2 + usize::from(self.version == V5)..];
        let payload = String::from_utf8_lossy(body).into_owned();
        let flow = Flow::Sent {
            qos,
            payload: payload.clone(),
        };
        match self.flows.get(&id) {
            Some(known) => {
                assert!(dup, "{id} was in use");
                assert_eq!(*known, flow, "sent again as it was");
            }
            // It may have been on its way when the connection ended.
            None => {
                self.got.push(payload);
                self.flows.insert(id, flow);
            }
        }
        assert!(!self.here.contains(&id), "{id} came twice");
        self.here.push(id);
        assert!(self.here.len() <= self.window, "{:?}", self.here);
    }

    /// Sends an acknowledgement, and checks what comes of it.
    async fn acknowledge(&mut self, first: u8, id: u16) {
        self.client.send(&ack(first, id)).await;
        let not_found = if self.version == V5 { 0x92 } else { 0 };
        let flow = self.flows.get(&id).cloned();
        let mut expected = vec![];
        match (first, flow) {
            (0x40, Some(Flow::Sent { qos: 1, .. })) | (0x70, Some(Flow::Released)) => {
                self.flows.remove(&id);
                self.here.retain(|here| *here != id);
            }
            (0x50, Some(Flow::Sent { qos: 2, .. } | Flow::Released)) => {
                self.flows.insert(id, Flow::Released);
                expected.push((id, 0));
            }
            (0x50, _) => expected.push((id, not_found)),
            _ => {}
        }
        assert_eq!(self.read().await, expected, "{first:x} {id}");
    }

    async fn reconnect(&mut self, broker: &Broker, window: u8) {
        self.client = Client::new(broker, self.version);
        until(|| broker.connected() == 1).await;
        self.window = if self.version == V5 {
            window.into()
        } else {
            32
        };
        self.client = Self::connect(broker, self.version, false, window).await;
        self.here.clear();
        let released = self.flows.iter().filter(|(_, f)| **f == Flow::Released);
        let mut expected: Vec<u16> = released.map(|(id, _)| *id).collect();
        self.here.extend(&expected);
        // PUBRELs are no PUBLISHes: all come at once.
        self.window = self.window.max(expected.len());
        let mut again: Vec<u16> = self.read().await.into_iter().map(|(id, _)| id).collect();
        again.sort_unstable();
        expected.sort_unstable();
        assert_eq!(again, expected);
    }
}

async fn publish_to(writer: &mut Client, qos: u8, payload: &str) {
    let answer = ask(writer, &publish(V5, qos << 1, "notice", 1, &[], payload)).await;
    if qos == 2 {
        assert_eq!(answer, Answer::Pubrec(1, 0));
        assert_eq!(ask(writer, &ack(0x62, 1)).await, Answer::Pubcomp(1, 0));
    } else {
        assert_eq!(answer, Answer::Puback(1, 0));
    }
}

async fn run(broker: &Broker, version: u8, steps: &[Event]) {
    let mut writer = open(broker, &connect("writer", true, 0)).await;
    let mut phone = Phone {
        // A clean session of 3.1.1 would not be kept.
        client: Phone::connect(broker, version, version == V5, 4).await,
        version,
        window: if version == V5 { 4 } else { 32 },
        flows: BTreeMap::new(),
        here: vec![],
        got: vec![],
    };
    let notice = subscribe(version, 1, &[], &[("notice", 2)]);
    assert_eq!(
        ask(&mut phone.client, &notice).await,
        Answer::Suback(1, vec![2])
    );
    let mut count = 0;
    for step in steps {
        match step {
            Event::Publish(qos) => {
                publish_to(&mut writer, *qos, &count.to_string()).await;
                count += 1;
            }
            Event::Acknowledge(first, at) => {
                let ids: Vec<u16> = phone.flows.keys().copied().collect();
                let id = ids.get(*at).copied().unwrap_or(60_000);
                phone.acknowledge(*first, id).await;
            }
            Event::Reconnect(window) => phone.reconnect(broker, *window).await,
        }
    }
    // A client that does all that it should, at last.
    let mut turns = 0;
    while phone.got.len() < count || !phone.flows.is_empty() {
        turns += 1;
        assert!(turns < 5000, "{} of {count} came", phone.got.len());
        for (id, flow) in phone.flows.clone() {
            match flow {
                Flow::Sent { qos: 1, .. } => phone.acknowledge(0x40, id).await,
                Flow::Sent { .. } => phone.acknowledge(0x50, id).await,
                Flow::Released => phone.acknowledge(0x70, id).await,
            }
        }
        phone.read().await;
    }
    let all: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    assert_eq!(phone.got, all, "each once, in order");
}

#[test]
fn no_order_of_acknowledgements_ends_a_session_or_confuses_it() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let ran = runner.run(&(any::<bool>(), steps()), |(v5, steps)| {
        let version = if v5 { V5 } else { V3 };
        runtime.block_on(async {
            let (broker, _intake) = start(5).await;
            run(&broker, version, &steps).await;
            broker.stop().await;
        });
        Ok(())
    });
    ran.unwrap_or_else(|e| panic!("{e}"));
}
