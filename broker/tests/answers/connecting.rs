//! What comes before there is a session.

use crate::{
    common::encode::{
        Connect, V3, V5, Will, ack, data, number, packet, pingreq, publish, subscribe,
    },
    row::{
        Expect::{Closes, Refuses, RefusesWith},
        Row, check_at_the_start, row,
    },
    text::prop,
    user::user,
};

/// Codes of CONNACK for what is malformed (MQTT 5 section 3.2.2.2); a server may tell none of them (section 4.13.1).
const MALFORMED: &[u8] = &[0x80, 0x81, 0x82];

/// In MQTT 3.1.1 no code stands for a malformed CONNECT: no CONNACK is sent (section 3.1.4).
const SILENCE: &[u8] = &[];

fn codes(version: u8) -> &'static [u8] {
    if version == V5 { MALFORMED } else { SILENCE }
}

/// A CONNECT of MQTT 5 with these properties.
fn with(properties: &[Vec<u8>]) -> Vec<u8> {
    Connect {
        properties: properties.to_vec(),
        ..Connect::new(V5)
    }
    .bytes()
}

#[tokio::test]
async fn a_packet_before_connect_closes_the_connection() {
    let rows = |version| {
        let closed = |what, send| row(version, what, send, Refuses(SILENCE));
        vec![
            closed("PINGREQ first (3.1.0-1)", pingreq()),
            closed(
                "PUBLISH first (3.1.0-1)",
                publish(version, 0, "notice", 0, &[], ""),
            ),
            closed(
                "SUBSCRIBE first (3.1.0-1)",
                subscribe(version, 1, &[], &[("a", 0)]),
            ),
            closed("PUBACK first (3.1.0-1)", ack(0x40, 1)),
            closed("DISCONNECT first (3.1.0-1)", packet(0xE0, &[])),
            closed("AUTH first (3.1.0-1)", packet(0xF0, &[])),
            closed("CONNACK first (3.1.0-1)", packet(0x20, &[&[0, 0]])),
            closed("packet type 0 (2.1.2)", packet(0x00, &[])),
            closed(
                "a remaining length of five bytes (1.5.5, 2.2.3)",
                vec![0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            ),
            closed(
                "a CONNECT that is too large (3.2.2.3.6)",
                [
                    &[0x10, 0xFF, 0xFF, 0x7F],
                    &Connect::new(version).bytes()[2..],
                ]
                .concat(),
            ),
        ]
    };
    check_at_the_start([rows(V3), rows(V5)].into_iter().flatten().collect()).await;
}

#[tokio::test]
async fn connect_flags_that_contradict_each_other_are_refused() {
    let rows = |version| -> Vec<Row> {
        let plain = Connect::new(version);
        let willing = Connect {
            will: Some(Will {
                qos: 0,
                retain: false,
                topic: "notice",
                payload: "gone",
                properties: vec![],
            }),
            ..plain.clone()
        };
        let mut wrong_type = plain.bytes();
        wrong_type[0] = 0x11;
        [
            ("flags of the fixed header (2.1.3, 2.2.2)", wrong_type),
            (
                "the reserved flag (3.1.2-3)",
                plain.with("MQTT", plain.flags() | 1),
            ),
            (
                "a will's QoS without a will (3.1.2-11)",
                plain.with("MQTT", plain.flags() | 0b1000),
            ),
            (
                "a will's retain without a will (3.1.2-13)",
                plain.with("MQTT", plain.flags() | 0b10_0000),
            ),
            (
                "a will of QoS 3 (3.1.2-12)",
                willing.with("MQTT", willing.flags() | 0b1_1000),
            ),
        ]
        .into_iter()
        .map(|(what, send)| row(version, what, send, Refuses(codes(version))))
        .collect()
    };
    check_at_the_start([rows(V3), rows(V5)].into_iter().flatten().collect()).await;
}

#[tokio::test]
async fn a_protocol_that_is_not_known_is_refused() {
    let level = |version| {
        Connect {
            version,
            ..Connect::new(V3)
        }
        .bytes()
    };
    check_at_the_start(vec![
        // 0x01 or 0x84, each in the form that its sender understands.
        row(
            V3,
            "protocol level 3 (3.1.2-2)",
            level(3),
            RefusesWith(0x01),
        ),
        row(
            V5,
            "protocol level 6 (3.1.2.2)",
            level(6),
            RefusesWith(0x84),
        ),
        row(
            V3,
            "MQTT 3.1 (3.1.2-2)",
            Connect::new(3).with("MQIsdp", 0xC2),
            RefusesWith(0x01),
        ),
        row(
            V5,
            "another protocol name (3.1.2.1)",
            Connect::new(V5).with("MQTX", 0xC2),
            Refuses(&[0x80, 0x84]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_malformed_connect_of_mqtt_5_is_refused() {
    let twice = |property: Vec<u8>| with(&[property.clone(), property]);
    let mut long = Connect::new(V5).bytes();
    long.push(0);
    long[1] += 1;
    let rows = [
        (
            "session expiry twice (3.1.2.11.2)",
            twice(number(0x11, &[0, 0, 0, 1])),
        ),
        (
            "receive maximum twice (3.1.2.11.3)",
            twice(number(0x21, &[0, 1])),
        ),
        (
            "receive maximum 0 (3.1.2.11.3)",
            with(&[number(0x21, &[0, 0])]),
        ),
        (
            "maximum packet size twice (3.1.2.11.4)",
            twice(number(0x27, &[0, 0, 1, 0])),
        ),
        (
            "maximum packet size 0 (3.1.2.11.4)",
            with(&[number(0x27, &[0, 0, 0, 0])]),
        ),
        (
            "topic alias maximum twice (3.1.2.11.5)",
            twice(number(0x22, &[0, 1])),
        ),
        (
            "request response information 2 (3.1.2.11.6)",
            with(&[number(0x19, &[2])]),
        ),
        (
            "request problem information 2 (3.1.2.11.7)",
            with(&[number(0x17, &[2])]),
        ),
        ("a topic alias (2.2.2.2)", with(&[number(0x23, &[0, 1])])),
        (
            "a property that does not exist (2.2.2.2)",
            with(&[number(0x7F, &[0])]),
        ),
        (
            "a user property that is no UTF-8 (1.5.4-1)",
            with(&[[&[0x26][..], &data([0xFF]), &data("b")].concat()]),
        ),
        ("too many bytes (3.1.3)", long),
    ];
    let rows = rows
        .into_iter()
        .map(|(what, send)| row(V5, what, send, Refuses(MALFORMED)));
    check_at_the_start(rows.collect()).await;
}

/// A will to this topic, with these properties.
fn willing(version: u8, topic: &'static str, properties: Vec<Vec<u8>>) -> Vec<u8> {
    let will = Will {
        qos: 0,
        retain: false,
        topic,
        payload: "gone",
        properties,
    };
    Connect {
        will: Some(will),
        ..Connect::new(version)
    }
    .bytes()
}

#[tokio::test]
async fn a_will_to_what_is_no_topic_is_refused() {
    let mut rows = vec![];
    for topic in ["", "notice/#", "+/x", "a\0"] {
        let what = "a malformed will topic (MQTT-3.1.4-1)";
        rows.push(row(V3, what, willing(V3, topic, vec![]), Closes));
        let what = "a malformed will topic (4.7.1)";
        rows.push(row(
            V5,
            what,
            willing(V5, topic, vec![]),
            Refuses(&[0x81, 0x90]),
        ));
        let response = willing(V5, "notice", vec![prop(0x08, topic)]);
        let what = "a will with a malformed response topic (3.3.2-14)";
        rows.push(row(V5, what, response, Refuses(&[0x81, 0x82, 0x90])));
    }
    check_at_the_start(rows).await;
}

#[tokio::test]
async fn a_connect_that_is_well_formed_and_not_welcome_is_answered_with_its_code() {
    let stranger = |version| {
        Connect {
            username: "mallory",
            ..Connect::new(version)
        }
        .bytes()
    };
    let nameless = Connect {
        client_id: "",
        clean: false,
        ..Connect::new(V3)
    };
    check_at_the_start(vec![
        row(
            V3,
            "a user that does not exist (3.2.2.3)",
            stranger(V3),
            Refuses(&[0x05]),
        ),
        row(
            V5,
            "a user that does not exist (3.2.2.2)",
            stranger(V5),
            Refuses(&[0x87]),
        ),
        row(
            V3,
            "no client id and clean session 0 (3.1.3-8)",
            nameless.bytes(),
            Refuses(&[0x02]),
        ),
        row(
            V5,
            "enhanced authentication (4.12)",
            with(&[prop(0x15, "SCRAM-SHA-1"), user("a", "b")]),
            Refuses(&[0x8C]),
        ),
    ])
    .await;
}
