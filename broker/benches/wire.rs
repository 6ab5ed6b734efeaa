//! Packets from and to bytes, in both versions.

#![expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the wire is private to the broker, so its files are compiled in here, and only some of it is measured"
)]

#[path = "../src/limits.rs"]
mod limits;
#[path = "../src/wire/mod.rs"]
mod wire;

use bytes::Bytes;
use divan::{Bencher, black_box};
use wire::{
    ConnackProperties, Incoming, Outgoing, PublishCode, PublishProperties, Qos, SubackCode, Wire,
};

/// The protocol levels of MQTT 3.1.1 and 5.
const VERSIONS: [u8; 2] = [4, 5];

const TOPIC: &str = "rooms/kitchen/door";

/// A packet of less than 128 bytes.
fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u8::try_from(body.len()).expect("a short packet");
    assert!(length < 0x80);
    [&[first, length], &body[..]].concat()
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// The length of no properties, which 3.1.1 does not have.
fn no_properties(version: u8) -> &'static [u8] {
    if version == 5 { &[0] } else { &[] }
}

fn publish_packet(version: u8, qos: u8) -> Vec<u8> {
    let packet_id: &[u8] = if qos == 0 { &[] } else { &[0, 1] };
    let properties = no_properties(version);
    let payload = [b'x'; 64];
    packet(
        0x30 | qos << 1,
        &[&text(TOPIC), packet_id, properties, &payload],
    )
}

fn next(wire: &mut Wire, bytes: &[u8]) -> Incoming {
    wire.push(bytes);
    let packet = wire.next_packet();
    packet.ok().flatten().expect("a valid packet")
}

/// A connection of a client that was accepted.
fn connected(version: u8) -> Wire {
    let mut wire = Wire::new(128 * 1024);
    let flags = [version, 0b10, 0, 60];
    let client_id = text("phone");
    let properties = no_properties(version);
    let connect = packet(0x10, &[&text("MQTT"), &flags, properties, &client_id]);
    next(&mut wire, &connect);
    let properties = ConnackProperties {
        receive_maximum: 32,
        ..ConnackProperties::default()
    };
    wire.accept(properties).expect("CONNACK");
    wire.output().clear();
    wire
}

#[divan::bench(args = VERSIONS)]
fn receive_publish(bencher: Bencher<'_, '_>, version: u8) {
    let mut wire = connected(version);
    let publish = publish_packet(version, 0);
    bencher.bench_local(|| next(&mut wire, black_box(&publish)));
}

#[divan::bench(args = VERSIONS)]
fn receive_publish_and_send_puback(bencher: Bencher<'_, '_>, version: u8) {
    let mut wire = connected(version);
    let publish = publish_packet(version, 1);
    bencher.bench_local(|| {
        wire.output().clear();
        next(&mut wire, black_box(&publish));
        wire.acknowledge(Qos::AtLeastOnce, 1, PublishCode::Success, "")
    });
}

#[divan::bench(args = VERSIONS)]
fn receive_subscribe_and_send_suback(bencher: Bencher<'_, '_>, version: u8) {
    let mut wire = connected(version);
    let properties = no_properties(version);
    let subscribe = packet(0x82, &[&[0, 1], properties, &text(TOPIC), &[1]]);
    bencher.bench_local(|| {
        wire.output().clear();
        next(&mut wire, black_box(&subscribe));
        wire.suback(1, &[SubackCode::Granted1], None)
    });
}

#[divan::bench(args = VERSIONS)]
fn receive_puback(bencher: Bencher<'_, '_>, version: u8) {
    let mut wire = connected(version);
    bencher.bench_local(|| next(&mut wire, black_box(&[0x40, 2, 0, 1])));
}

#[divan::bench(args = VERSIONS)]
fn send_publish(bencher: Bencher<'_, '_>, version: u8) {
    let properties = PublishProperties::default();
    bench_send(bencher, version, &properties);
}

#[divan::bench]
fn send_publish_with_properties(bencher: Bencher<'_, '_>) {
    let properties = PublishProperties {
        utf8: Some(true),
        message_expiry: Some(60),
        content_type: Some("application/json".into()),
        response_topic: Some("responses/alice/1".into()),
        correlation_data: Some(Bytes::from_static(b"17")),
        user: vec![("seq".into(), "17".into())],
    };
    bench_send(bencher, 5, &properties);
}

fn bench_send(bencher: Bencher<'_, '_>, version: u8, properties: &PublishProperties) {
    let mut wire = connected(version);
    bencher.bench_local(|| {
        wire.output().clear();
        wire.publish(&Outgoing {
            topic: black_box(TOPIC),
            payload: &[b'x'; 64],
            qos: Qos::AtLeastOnce,
            retain: false,
            properties,
            identifiers: &[],
            packet_id: 1,
            dup: false,
        })
    });
}

fn main() {
    divan::main();
}
