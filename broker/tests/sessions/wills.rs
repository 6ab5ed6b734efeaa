//! When a will is published.

use crate::{
    client::Answer::Suback,
    common::encode::{Connect, V3, V5, Will, packet, publish, subscribe},
    setup::{ask, connect, next_is, open, start},
};

/// Reasons that a client may give in DISCONNECT (MQTT 5 section 3.14.2.1).
const REASONS: [u8; 13] = [
    0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
];

#[tokio::test]
async fn only_a_disconnect_without_a_fault_deletes_the_will() {
    let (broker, _intake) = start(5).await;
    let mut listener = open(&broker, &connect("listener", true, 0)).await;
    let notice = subscribe(V5, 1, &[], &[("notice", 0)]);
    assert_eq!(ask(&mut listener, &notice).await, Suback(1, vec![0]));
    let willing = |version| Connect {
        will: Some(Will {
            qos: 0,
            retain: false,
            topic: "notice",
            payload: "gone",
            properties: vec![],
        }),
        ..Connect::new(version)
    };
    for reason in REASONS {
        let mut client = open(&broker, &willing(V5)).await;
        client.send(&packet(0xE0, &[&[reason]])).await;
        next_is(&mut listener, "gone").await;
        assert_eq!(client.until_closed().await, Ok(vec![]), "{reason:#x}");
    }
    for (version, disconnect) in [
        (V5, packet(0xE0, &[])),
        (V5, packet(0xE0, &[&[0]])),
        (V3, packet(0xE0, &[])),
    ] {
        let mut client = open(&broker, &willing(version)).await;
        client.send(&disconnect).await;
        assert_eq!(client.until_closed().await, Ok(vec![]));
        let mut other = open(&broker, &connect("other", true, 0)).await;
        other.send(&publish(V5, 0, "notice", 0, &[], "then")).await;
        next_is(&mut listener, "then").await;
    }
}
