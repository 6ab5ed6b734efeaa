//! What all sessions of one user hold together, however many there are.

use std::{collections::HashMap, sync::Arc};

use herald_acl::Actions;
use herald_broker::{Broker, Identity, Limits, Notification};
use parking_lot::Mutex;

use crate::{
    client::{
        Answer::{Pingresp, Puback, Suback},
        Client,
    },
    common::{
        encode::{Connect, V5, ack, pingreq, publish, subscribe},
        hosts,
        inbox::{Inboxes, Log},
    },
    held::Held,
    setup::{SEND, all_had_a_turn, ask, connect, next, open, published, until},
};

/// As many as a user may have.
const SESSIONS: usize = 32;

/// What they may hold together.
const BOUND: usize = 4 * 1024 * 1024;

/// How many notifications there are, and how large each is.
const NEWEST: i64 = 4;
const LARGE: usize = 250_000;

/// What the stream between takes.
const SOCKET: usize = 64 * 1024;

/// Everyone's inbox, and how often each was read.
#[derive(Default)]
struct Large(Mutex<HashMap<Arc<str>, usize>>);

impl Large {
    fn reads(&self, user: &str) -> usize {
        self.0.lock().get(user).copied().unwrap_or(0)
    }
}

impl Log for Large {
    fn newest(&self) -> i64 {
        NEWEST
    }

    fn read(&self, user: &Identity, after: i64, _: usize) -> Vec<Notification> {
        *self.0.lock().entry(user.user_id.clone()).or_default() += 1;
        let seq = after + 1;
        let notification = (seq <= NEWEST).then(|| Notification {
            seq,
            payload: format!("{}{seq}", "x".repeat(LARGE)).into(),
        });
        notification.into_iter().collect()
    }
}

async fn start() -> (Broker, Arc<Large>) {
    start_with(Arc::new(Held::new())).await
}

async fn start_with(intake: Arc<Held>) -> (Broker, Arc<Large>) {
    let inbox = Arc::<Large>::default();
    let limits = Limits {
        sessions_per_user: SESSIONS + 1,
        session_bytes_per_user: BOUND,
        max_session_expiry_s: 60,
        publishes_per_s: 0,
        ..Limits::default()
    };
    let broker = hosts::broker_with(
        limits,
        Actions::Both,
        intake,
        Arc::new(Inboxes(inbox.clone())),
    );
    (broker.await, inbox)
}

/// A session of this user that has subscribed to `topic` at QoS 1.
async fn follow(broker: &Broker, username: &'static str, number: usize, topic: &str) -> Client {
    let connect = Connect {
        username,
        ..connect(format!("{username}-{number}").leak(), true, 60)
    };
    let mut client = open(broker, &connect).await;
    let granted = ask(&mut client, &subscribe(V5, 1, &[], &[(topic, 1)])).await;
    assert_eq!(granted, Suback(1, vec![1]));
    client
}

/// The numbers of all notifications, each acknowledged.
async fn take_all(client: &mut Client, topic: &str) {
    for seq in 1..=NEWEST {
        let answer = next(client).await;
        let packet = published(&answer).expect("a notification");
        assert!(packet.ends_with(format!("x{seq}").as_bytes()));
        let at = packet
            .windows(topic.len())
            .position(|w| w == topic.as_bytes());
        let at = at.expect("the topic") + topic.len();
        let id = u16::from_be_bytes([packet[at], packet[at + 1]]);
        client.send(&ack(0x40, id)).await;
    }
}

/// Sessions that subscribe and do not read: what was read for them is neither in memory as often as there are sessions, nor in
/// the way of another user.
#[tokio::test]
async fn notifications_that_are_not_taken_are_bounded_for_all_sessions_of_a_user() {
    let (broker, inbox) = start().await;
    let topic = "users/alice/notifications";
    let mut clients = vec![];
    for number in 0..SESSIONS {
        clients.push(follow(&broker, "alice", number, topic).await);
        assert!(broker.held_bytes("alice") <= BOUND);
    }
    // As many as fit have something to send, and the others wait.
    until(|| broker.held_bytes("alice") > BOUND / 2).await;
    all_had_a_turn(&broker).await;
    assert!(broker.held_bytes("alice") <= BOUND);
    let reads = inbox.reads("alice");
    assert!(reads <= BOUND / (LARGE - SOCKET), "{reads}");
    let mut bob = follow(&broker, "bob", 0, "users/bob/notifications").await;
    take_all(&mut bob, "users/bob/notifications").await;
    assert!(broker.held_bytes("alice") <= BOUND);
    // Nothing is lost: who reads gets all.
    let taking = clients.iter_mut().map(|client| take_all(client, topic));
    futures_util::future::join_all(taking).await;
    until(|| broker.held_bytes("alice") == 0).await;
}

/// Sessions without a connection that wait for large shared messages leave room for the notifications of those that have one.
#[tokio::test]
async fn shared_messages_that_wait_are_bounded_for_all_sessions_of_a_user() {
    const COUNT: usize = 20;
    let (broker, _) = start().await;
    for number in 0..SESSIONS {
        drop(follow(&broker, "alice", number, "notice").await);
    }
    until(|| broker.connected() == 0).await;
    let mut bob = follow(&broker, "bob", 0, "notice").await;
    let root = Connect {
        username: "root",
        ..connect("root", true, 0)
    };
    let mut root = open(&broker, &root).await;
    for n in 1..=COUNT as u16 {
        let message = publish(V5, 2, "notice", n, &[], &"x".repeat(40_000));
        assert_eq!(ask(&mut root, &message).await, Puback(n, 0));
        let answer = next(&mut bob).await;
        let packet = published(&answer).expect("a message");
        let at = packet.len() - 40_000 - 3;
        let id = u16::from_be_bytes([packet[at], packet[at + 1]]);
        bob.send(&ack(0x40, id)).await;
    }
    // All sessions together would hold 25 MB.
    until(|| broker.held_bytes("alice") > BOUND / 2).await;
    assert!(broker.held_bytes("alice") <= BOUND / 4 * 3);
    let topic = "users/alice/notifications";
    let mut alice = follow(&broker, "alice", SESSIONS, topic).await;
    take_all(&mut alice, topic).await;
    assert!(broker.held_bytes("alice") <= BOUND);
}

/// Sends that are not written yet, of sessions that do not wait for their acknowledgements.
#[tokio::test]
async fn sends_that_wait_are_bounded_for_all_sessions_of_a_user() {
    const COUNT: u16 = 32;
    const SIZE: usize = 60_000;
    let intake = Arc::new(Held::new());
    let (broker, _) = start_with(intake.clone()).await;
    let mut senders = vec![];
    for number in 0..SESSIONS {
        let mut client = open(&broker, &connect(format!("{number}").leak(), true, 0)).await;
        senders.push(tokio::spawn(async move {
            let body = format!(r#"{{"body":"held{}"}}"#, "x".repeat(SIZE));
            for id in 1..=COUNT {
                let message = publish(V5, 2, SEND, id, &[], &body);
                client.send(&message).await;
            }
            for id in 1..=COUNT {
                assert_eq!(next(&mut client).await, Puback(id, 0));
            }
        }));
    }
    // As many as fit, and one of each session.
    until(|| broker.held_bytes("alice") > BOUND / 2 - 2 * SIZE).await;
    all_had_a_turn(&broker).await;
    assert!(broker.held_bytes("alice") <= BOUND / 2);
    let came = intake.came().len();
    assert!(came * SIZE <= BOUND / 2 + SESSIONS * SIZE, "{came}");
    // They take nothing from what another session of the user is owed.
    let mut other = follow(&broker, "alice", SESSIONS, "notice").await;
    let root = Connect {
        username: "root",
        ..connect("root", true, 0)
    };
    let mut root = open(&broker, &root).await;
    let notice = publish(V5, 2, "notice", 1, &[], &"x".repeat(SIZE));
    assert_eq!(ask(&mut root, &notice).await, Puback(1, 0));
    let packet = next(&mut other).await;
    assert!(published(&packet).is_some_and(|packet| packet.ends_with(b"xxx")));
    // Unacknowledged, it would be held on for the session.
    other.send(&ack(0x40, 1)).await;
    assert_eq!(ask(&mut other, &pingreq()).await, Pingresp);
    drop(other);
    // All are written in the end.
    for _ in 0..SESSIONS * usize::from(COUNT) {
        intake.let_go();
    }
    for sender in senders {
        sender.await.unwrap();
    }
    assert_eq!(intake.came().len(), SESSIONS * usize::from(COUNT));
    until(|| broker.held_bytes("alice") == 0).await;
}
