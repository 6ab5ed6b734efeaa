//! A server that is taken out while others stand.

use std::sync::Arc;

use futures_util::future::join_all;
use herald_test_databases::{DatabaseKind, TestDatabase};
use herald_tests::{
    Herald, Version,
    notified::{Notified, inbox, notified, parse, taken},
    raw::{Connect, Packet, Property, Raw},
    until,
};
use rstest::rstest;
use serde_json::json;

use crate::{
    database, listed, other, ready,
    service::{RESULT, Service},
};

/// What clients of MQTT 5 are told.
const TEXT: &str = "this server is being taken out; connect to another one";

/// Longer than a test waits for anything.
const LONG: [(&str, &str); 1] = [("HERALD_CLUSTER__DRAIN_S", "3600")];

/// A server that gives its clients so many seconds, in a database with an account, alice, and no delay.
async fn drained_in(database: &Arc<TestDatabase>, seconds: &str) -> Herald {
    drained(database, &[("HERALD_CLUSTER__DRAIN_S", seconds)]).await
}

async fn drained(database: &Arc<TestDatabase>, settings: &[(&str, &str)]) -> Herald {
    let mut herald = Herald::stopped_on_database(database, settings);
    herald.begin().await;
    let admin = herald.http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    admin.create_user("alice", "user").await;
    herald
}

/// Waits until `/readyz` says that the server is being taken out.
async fn draining(herald: &Herald) {
    until("/readyz to say no", async || {
        let answer = ready(herald).await;
        let says = answer.status == 503 && answer.text.contains("draining");
        says.then_some(())
    })
    .await;
}

/// What a client hears that goes from one server to another.
struct Client {
    version: Version,
    connect: Connect,
    raw: Raw,
    /// Whether it acknowledges what it gets from the first.
    acknowledges: bool,
    heard: Vec<Notified>,
}

impl Client {
    async fn at(herald: &Herald, number: usize) -> Self {
        let version = Version::BOTH[number % 2];
        let connect = Connect::kept("alice").client_id(&format!("client {number}"));
        let mut raw = Raw::connect_as(herald, version, &connect).await;
        assert_eq!(raw.subscribe(&inbox("alice")).await, 1);
        Self {
            version,
            connect,
            raw,
            acknowledges: number > 1,
            heard: vec![],
        }
    }

    /// Takes what comes until it is sent away.
    async fn until_sent_away(&mut self) {
        loop {
            match self.raw.packet().await {
                Some(Packet::Publish(publish)) => {
                    if self.acknowledges {
                        self.raw.finish(&publish).await;
                        self.heard.push(parse(&publish.payload));
                    }
                }
                Some(Packet::Disconnect { code, properties }) => {
                    assert_eq!((self.version, code), (Version::V5, 0x9C));
                    assert_eq!(properties, [Property::ReasonString(TEXT.into())]);
                }
                None => return,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Goes on at another server, until it has heard of the one with this number.
    async fn go_on_at(&mut self, herald: &Herald, last: i64) {
        self.raw = Raw::connect_as(herald, self.version, &self.connect).await;
        assert_eq!(self.raw.subscribe(&inbox("alice")).await, 1);
        while self.heard.last().is_none_or(|(seq, _)| *seq != last) {
            self.heard.push(parse(&self.raw.take().await.payload));
        }
    }
}

#[rstest]
#[tokio::test]
async fn clients_go_to_another_server_one_after_the_other_and_miss_nothing(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    const CLIENTS: usize = 6;
    let Some(database) = database(kind).await else {
        return;
    };
    let mut leaves = drained_in(&database, "8").await;
    let (stays, _third) = (other(&database).await, other(&database).await);
    let mut clients = vec![];
    for number in 0..CLIENTS {
        clients.push(Client::at(&leaves, number).await);
    }
    let mut bystander = Raw::connect(&leaves, Version::V5, "alice").await;
    let alice = stays.http("alice").await;
    let mut sent: i64 = 0;
    let mut send = async |times| {
        for _ in 0..times {
            sent += 1;
            alice.send_message(&sent.to_string()).await;
        }
        sent
    };
    send(5).await;
    leaves.signal("TERM");
    draining(&leaves).await;
    // The bystander came last, and leaves last.
    clients[0].until_sent_away().await;
    bystander.ping().await;
    for client in &mut clients[1..] {
        send(3).await;
        client.until_sent_away().await;
    }
    for version in Version::BOTH {
        let refused = Connect::of("alice").client_id("late");
        let code = Raw::connect_code(&leaves, version, &refused).await;
        assert_eq!(code, if version == Version::V5 { 0x9C } else { 3 });
    }
    assert_eq!(bystander.ended().await, Some(0x9C));
    let last = send(5).await;
    join_all(clients.iter_mut().map(|one| one.go_on_at(&stays, last))).await;
    assert_eq!(leaves.ended().await, Some(0));
    assert_eq!(listed(&stays).await.len(), 2);
    for client in &mut clients {
        client.heard.dedup();
        let numbers: Vec<_> = client.heard.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "dense");
        let mut bodies: Vec<i64> = client
            .heard
            .iter()
            .map(|(_, body)| body.parse().unwrap())
            .collect();
        bodies.sort_unstable();
        assert_eq!(bodies, numbers, "each once");
    }
}

#[rstest]
#[tokio::test]
async fn it_takes_up_no_message_and_ends_what_it_has(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let service = Service::start().await;
    let settings = service.settings();
    let settings = settings.iter().map(|(k, v)| (*k, v.as_str())).chain(LONG);
    let settings: Vec<_> = settings.collect();
    let mut leaves = drained(&database, &settings).await;
    let alice = leaves.http("alice").await;
    let held = alice.send_message("held").await;
    service.has(1).await;
    let stays = other(&database).await;
    // Without anybody, it would be done at once.
    let mut phone = Raw::connect(&leaves, Version::V311, "alice").await;
    leaves.signal("TERM");
    draining(&leaves).await;
    // It still serves who sends, and the other one does the work.
    for n in 1..=5 {
        let body = n.to_string();
        let id = alice.send_message(&body).await;
        assert_eq!(alice.processed(&id).await["result"], body);
    }
    service.answer();
    let processed = alice.processed(&held).await;
    assert_eq!(processed["result"], RESULT);
    assert_eq!(processed["attempts"], 1, "{processed}");
    phone.ping().await;
    leaves.signal("TERM");
    assert_eq!(leaves.ended().await, Some(0));
    let mut phone = Raw::connect(&stays, Version::V5, "alice").await;
    assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
    let expected: Vec<_> = (1..=5)
        .map(|n| notified(n, &n.to_string()))
        .chain([notified(6, "held")])
        .collect();
    assert_eq!(taken(&mut phone, 6).await, expected);
    assert_eq!(phone.at_once().await, []);
}

#[rstest]
#[tokio::test]
async fn another_signal_ends_the_wait(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let mut leaves = drained_in(&database, LONG[0].1).await;
    let _stays = other(&database).await;
    let mut phone = Raw::connect(&leaves, Version::V5, "alice").await;
    leaves.signal("TERM");
    draining(&leaves).await;
    phone.ping().await;
    leaves.signal("TERM");
    assert_eq!(phone.ended().await, Some(0x8B));
    assert_eq!(leaves.ended().await, Some(0));
}

#[rstest]
#[tokio::test]
async fn who_has_no_others_stops_at_once(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let mut only = drained_in(&database, LONG[0].1).await;
    let mut gone = other(&database).await;
    gone.stop().await;
    let mut phone = Raw::connect(&only, Version::V5, "alice").await;
    only.stop().await;
    assert_eq!(phone.ended().await, Some(0x8B));
}

#[tokio::test]
async fn who_has_a_file_stops_at_once() {
    let mut only = Herald::stopped_on_file(&LONG);
    only.begin().await;
    let mut phone = Raw::connect(&only, Version::V5, "admin").await;
    // The command is the same signal.
    let ended = only.cli(&["drain"]).succeed().await;
    assert!(ended.starts_with("process "), "{ended}");
    assert_eq!(phone.ended().await, Some(0x8B));
    assert_eq!(only.ended().await, Some(0));
    let none = only.cli(&["drain"]).run().await;
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("no server is running"), "{none:?}");
}

#[rstest]
#[tokio::test]
async fn the_command_takes_the_server_of_its_data_directory_out(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let mut leaves = drained_in(&database, "1").await;
    let stays = other(&database).await;
    let mut phone = Raw::connect(&leaves, Version::V5, "alice").await;
    let tablet = Connect::of("alice").client_id("tablet");
    let mut tablet = Raw::connect_as(&stays, Version::V311, &tablet).await;
    leaves.cli(&["drain"]).succeed().await;
    assert_eq!(phone.ended().await, Some(0x9C));
    assert_eq!(leaves.ended().await, Some(0));
    tablet.ping().await;
}
