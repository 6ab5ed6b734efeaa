//! A stop waits for nobody who takes long.

use std::time::Duration;

use herald_broker::Broker;
use rstest::rstest;
use tokio::time::Instant;

use crate::{
    client::Answer::{Puback, Suback},
    common::encode::{Connect, V3, V5, Will, publish, subscribe},
    held::HELD,
    setup::{HELD_BODY, SEND, ask, connect, open, start, until},
};

/// How long the broker takes to stop, by a clock that leaves out what is only waited for.
async fn stop(broker: &Broker) -> Duration {
    tokio::time::pause();
    let before = Instant::now();
    broker.stop().await;
    let took = before.elapsed();
    tokio::time::resume();
    took
}

/// Sends are held back for as long as it takes, and a client that does not read is waited for, but not by a stop.
#[rstest]
#[tokio::test]
async fn a_stop_waits_neither_for_sends_that_are_held_back_nor_for_clients_that_do_not_read(
    #[values(V3, V5)] version: u8,
) {
    let (broker, intake) = start(5).await;
    let phone = Connect {
        version,
        ..connect("phone", true, 0)
    };
    let mut phone = open(&broker, &phone).await;
    let notices = subscribe(version, 1, &[], &[("notice", 0)]);
    assert!(matches!(ask(&mut phone, &notices).await, Suback(1, _)));
    phone.send(&publish(version, 2, SEND, 2, &[], HELD)).await;
    until(|| intake.came() == [HELD_BODY]).await;
    // More than fits between it and the server, and it reads nothing.
    let mut tablet = open(&broker, &connect("tablet", true, 0)).await;
    let long = "x".repeat(100 * 1024);
    for id in 1..=3 {
        let notice = publish(V5, 2, "notice", id, &[], &long);
        assert_eq!(ask(&mut tablet, &notice).await, Puback(id, 0));
    }
    assert!(stop(&broker).await < Duration::from_secs(1));
    assert_eq!(broker.sessions(), 0);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_will_that_is_held_back() {
    let (broker, intake) = start(5).await;
    let will = Some(Will {
        qos: 1,
        retain: false,
        topic: SEND,
        payload: HELD,
        properties: vec![],
    });
    let connect = Connect {
        will,
        ..connect("phone", true, 0)
    };
    drop(open(&broker, &connect).await);
    until(|| intake.came() == [HELD_BODY]).await;
    assert!(stop(&broker).await < Duration::from_secs(1));
}
