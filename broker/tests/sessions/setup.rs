//! Brokers and clients in the state that a test begins with.

use std::{sync::Arc, time::Duration};

use herald_acl::{Actions, Username};
use herald_broker::{Broker, Limits};
use tokio::time::{sleep, timeout};

use crate::{
    client::{Answer, Client},
    common::{
        encode::{Connect, V5, Will, number},
        hosts,
    },
    held::{HELD, Held},
};

/// How long [`until`] waits.
const LIMIT: Duration = Duration::from_secs(20);

/// Where Alice sends messages to.
pub(crate) const SEND: &str = "users/alice/messages";

/// The body of [`HELD`], as [`Held::came`] has it.
pub(crate) const HELD_BODY: &str = "held";

/// Starts a broker that keeps up to `sessions` sessions of a user, for a minute without a connection, and its intake.
pub(crate) async fn start(sessions: usize) -> (Broker, Arc<Held>) {
    let limits = Limits {
        sessions_per_user: sessions,
        max_session_expiry_s: 60,
        publishes_per_s: 0,
        ..Limits::default()
    };
    let intake = Arc::new(Held::new());
    let broker = hosts::broker(limits, Actions::Both, intake.clone()).await;
    (broker, intake)
}

/// CONNECT of Alice in MQTT 5, with a Session Expiry Interval in seconds.
pub(crate) fn connect(client_id: &'static str, clean: bool, expiry: u32) -> Connect {
    Connect {
        clean,
        client_id,
        properties: vec![number(0x11, &expiry.to_be_bytes())],
        ..Connect::new(V5)
    }
}

/// The same as [`connect`], of a client that takes one unacknowledged message at a time (Receive Maximum 1).
pub(crate) fn connect_one_by_one(client_id: &'static str) -> Connect {
    let mut connect = connect(client_id, true, 0);
    connect.properties.push(number(0x21, &[0, 1]));
    connect
}

/// Alice's name.
pub(crate) fn alice() -> Username {
    Username::parse("alice").expect("a valid name")
}

/// A connection that has sent `connect` and not read the answer.
pub(crate) async fn begin(broker: &Broker, connect: &Connect) -> Client {
    let mut client = Client::new(broker, connect.version);
    client.send(&connect.bytes()).await;
    client
}

/// A connection that was let in.
pub(crate) async fn open(broker: &Broker, connect: &Connect) -> Client {
    let mut client = begin(broker, connect).await;
    assert_eq!(next(&mut client).await, Answer::Connack(0));
    client
}

/// The next packet, which must come.
pub(crate) async fn next(client: &mut Client) -> Answer {
    let packet = client.next().await.expect("a packet comes in time");
    packet.expect("the connection is open")
}

/// Sends `packet`, and reads the answer.
pub(crate) async fn ask(client: &mut Client, packet: &[u8]) -> Answer {
    client.send(packet).await;
    next(client).await
}

/// The next packet must be the PUBLISH of `payload`.
pub(crate) async fn next_is(client: &mut Client, payload: &str) {
    let next = next(client).await;
    let same = published(&next).is_some_and(|packet| packet.ends_with(payload.as_bytes()));
    assert!(same, "{payload:?} was to come, not {next:?}");
}

/// The whole packet, if it is a PUBLISH.
pub(crate) fn published(answer: &Answer) -> Option<&[u8]> {
    match answer {
        Answer::Other(packet) if packet[0] >> 4 == 3 => Some(packet),
        _ => None,
    }
}

/// Waits until `holds` answers `true`.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    let polling = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, polling).await.expect("it holds in time");
}

/// Leaves a session of Alice's without a connection, and a will with it whose delay has not passed: a message that is held.
pub(crate) async fn park_with_will(broker: &Broker, client_id: &'static str) {
    let will = Some(Will {
        qos: 1,
        retain: false,
        topic: SEND,
        payload: HELD,
        properties: vec![number(0x18, &[0, 0, 0, 30])],
    });
    let connect = Connect {
        will,
        ..connect(client_id, true, 60)
    };
    drop(open(broker, &connect).await);
    until(|| broker.connected() == 0 && broker.sessions() == 1).await;
}

/// Waits until every task that was ready has run: tasks of one thread take turns, and each answer to a bystander takes one.
pub(crate) async fn all_had_a_turn(broker: &Broker) {
    let connect = Connect {
        username: "bob",
        ..connect("bystander", true, 0)
    };
    let mut bystander = open(broker, &connect).await;
    for _ in 0..3 {
        assert_eq!(bystander.answers(0).await, Ok(vec![]));
    }
}
