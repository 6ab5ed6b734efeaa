//! A server that is taken out sends its clients to others.

use std::time::Duration;

use herald_broker::Broker;
use rstest::rstest;
use tokio::time::Instant;

use crate::{
    client::Answer::{self, Connack, Disconnect},
    common::encode::{Connect, V3, V5, Will, number},
    setup::{SEND, begin, connect, next, open, start, until},
};

/// How long the clients are given.
const OVER: Duration = Duration::from_secs(10);

/// By a clock that goes on whenever all wait.
#[tokio::test]
async fn connections_end_one_after_the_other_and_nobody_is_let_in() {
    const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];
    let (broker, _intake) = start(5).await;
    let mut clients = vec![];
    for id in IDS {
        clients.push(open(&broker, &connect(id, true, 0)).await);
    }
    tokio::time::pause();
    let began = Instant::now();
    let draining = broker.clone();
    let drained = tokio::spawn(async move { draining.drain(OVER).await });
    let mut before = Duration::ZERO;
    for (client, n) in clients.iter_mut().zip(1..) {
        assert_eq!(client.until_closed().await, Ok(vec![Disconnect(0x9C)]));
        let after = began.elapsed();
        assert!(after > before && after >= OVER * n / 5, "{n}: {after:?}");
        before = after;
    }
    drained.await.expect("it ends");
    assert!(began.elapsed() < OVER + Duration::from_secs(1));
    for (version, code) in [(V3, 3), (V5, 0x9C)] {
        let late = Connect {
            version,
            ..connect("late", true, 0)
        };
        assert_eq!(next(&mut begin(&broker, &late).await).await, Connack(code));
    }
    broker.stop().await;
}

#[rstest]
#[case(V3, vec![])]
#[case(V5, vec![Disconnect(0x9C)])]
#[tokio::test]
async fn without_a_time_all_end_at_once(#[case] version: u8, #[case] told: Vec<Answer>) {
    let (broker, _intake) = start(5).await;
    let phone = Connect {
        version,
        ..connect("phone", true, 0)
    };
    let mut phone = open(&broker, &phone).await;
    broker.drain(Duration::ZERO).await;
    assert_eq!(broker.connected(), 0);
    assert_eq!(phone.until_closed().await, Ok(told));
}

/// A client whose will, a message that is sent, waits for so many seconds.
async fn leave_with_will(broker: &Broker, id: &'static str, payload: &'static str, delay: u8) {
    let will = Some(Will {
        qos: 1,
        retain: false,
        topic: SEND,
        payload,
        properties: vec![number(0x18, &[0, 0, 0, delay])],
    });
    let connect = Connect {
        will,
        ..connect(id, true, 60)
    };
    let mut client = open(broker, &connect).await;
    tokio::spawn(async move { client.until_closed().await });
}

/// It is only sent away: its will is for when it does not come back in time.
#[tokio::test]
async fn a_will_waits_for_its_delay_and_one_without_is_not_published() {
    let (broker, intake) = start(5).await;
    leave_with_will(&broker, "at once", r#"{"body": "at once"}"#, 0).await;
    leave_with_will(&broker, "later", r#"{"body": "later"}"#, 5).await;
    broker.drain(Duration::ZERO).await;
    assert!(intake.came().is_empty());
    tokio::time::pause();
    until(|| !intake.came().is_empty()).await;
    assert_eq!(intake.came(), ["later"]);
    broker.stop().await;
    assert_eq!(intake.came(), ["later"]);
}
