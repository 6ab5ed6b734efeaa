//! Packets that are malformed, or out of order, in a session.

use crate::{
    client::Answer::Pubrel,
    common::encode::{Connect, V3, V5, ack, data, packet, publish, subscribe, unsubscribe},
    row::{
        Expect::{Ends, Goes},
        Row, WRONG, check_in_session, row,
    },
};

/// Rows of both versions.
async fn both(rows: impl Fn(u8) -> Vec<Row>) {
    check_in_session([rows(V3), rows(V5)].into_iter().flatten().collect()).await;
}

#[tokio::test]
async fn what_only_a_server_sends_or_comes_once_ends_the_session() {
    both(|version| {
        let ends = |what, send, codes| row(version, what, send, Ends(codes));
        vec![
            ends(
                "a second CONNECT (3.1.0-2)",
                Connect::new(version).bytes(),
                &[0x82],
            ),
            ends("CONNACK (3.2)", packet(0x20, &[&[0, 0]]), WRONG),
            ends("SUBACK (3.9)", packet(0x90, &[&[0, 1, 0]]), WRONG),
            ends("UNSUBACK (3.11)", packet(0xB0, &[&[0, 1]]), WRONG),
            ends("PINGRESP (3.13)", packet(0xD0, &[]), WRONG),
            ends("packet type 0 (2.1.2)", packet(0x00, &[]), WRONG),
            ends(
                "AUTH without a method in CONNECT (4.12.0-6)",
                packet(0xF0, &[]),
                WRONG,
            ),
        ]
    })
    .await;
}

#[tokio::test]
async fn wrong_fixed_headers_end_the_session() {
    both(|version| {
        let ends = |what, send, codes| row(version, what, send, Ends(codes));
        let qos3 = publish(version, 0x06, "notice", 1, &[], "");
        let duplicate = publish(version, 0x08, "notice", 0, &[], "");
        vec![
            ends("PUBLISH of QoS 3 (3.3.1-4)", qos3, &[0x81]),
            ends("PUBLISH of QoS 0 with DUP (3.3.1-2)", duplicate, WRONG),
            ends(
                "flags of SUBSCRIBE (3.8.1-1)",
                packet(0x80, &[&[0, 1]]),
                &[0x81],
            ),
            ends(
                "flags of UNSUBSCRIBE (3.10.1-1)",
                packet(0xA0, &[&[0, 1]]),
                &[0x81],
            ),
            ends(
                "flags of PUBREL (3.6.1-1)",
                packet(0x60, &[&[0, 1]]),
                &[0x81],
            ),
            ends("flags of PUBACK (2.1.3)", packet(0x42, &[&[0, 1]]), &[0x81]),
            ends("flags of PINGREQ (2.1.3)", packet(0xC1, &[]), &[0x81]),
            ends("flags of DISCONNECT (3.14.1-1)", packet(0xE1, &[]), &[0x81]),
            ends(
                "a remaining length of five bytes (1.5.5, 2.2.3)",
                vec![0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
                &[0x81],
            ),
            ends(
                "a packet that is too large (3.2.2.3.6)",
                publish(version, 0, "notice", 0, &[], &"x".repeat(5000)),
                &[0x95],
            ),
            ends(
                "its length alone says that it is too large (3.2.2.3.6)",
                vec![0x30, 0xFF, 0xFF, 0x7F],
                &[0x95],
            ),
            ends("PINGREQ with a body (3.12)", packet(0xC0, &[&[0]]), WRONG),
        ]
    })
    .await;
}

#[tokio::test]
async fn bodies_that_end_too_early_or_too_late_end_the_session() {
    both(|version| {
        let ends = |what, send| row(version, what, send, Ends(WRONG));
        vec![
            ends("PUBLISH without a topic (3.3.2.1)", packet(0x30, &[])),
            ends(
                "PUBLISH whose topic is longer than it (1.5.4)",
                packet(0x30, &[&[0, 9], b"notice"]),
            ),
            ends(
                "PUBLISH of QoS 1 without an identifier (3.3.2.2)",
                packet(0x32, &[&data("notice")]),
            ),
            ends("PUBACK of one byte (3.4.2)", packet(0x40, &[&[0]])),
            ends(
                "PUBREL that ends too late (3.6.2)",
                packet(0x62, &[&[0, 1, 0, 0, 0]]),
            ),
            ends("SUBSCRIBE of one byte (3.8.2)", packet(0x82, &[&[0]])),
            ends(
                "SUBSCRIBE without filters (3.8.3-2)",
                subscribe(version, 1, &[], &[]),
            ),
            ends("SUBSCRIBE without options (3.8.3)", {
                let properties: &[u8] = if version == V5 { &[0] } else { &[] };
                packet(0x82, &[&[0, 1], properties, &data("notice")])
            }),
            ends(
                "UNSUBSCRIBE without filters (3.10.3-2)",
                unsubscribe(version, 1, &[]),
            ),
        ]
    })
    .await;
}

#[tokio::test]
async fn identifiers_and_levels_that_do_not_exist_end_the_session() {
    both(|version| {
        let ends = |what, send| row(version, what, send, Ends(WRONG));
        vec![
            ends("PUBACK of identifier 0 (2.2.1-3)", ack(0x40, 0)),
            ends("PUBREL of identifier 0 (2.2.1-3)", ack(0x62, 0)),
            ends(
                "SUBSCRIBE at QoS 3 (3.8.3-4)",
                subscribe(version, 1, &[], &[("notice", 3)]),
            ),
            ends(
                "SUBSCRIBE with reserved options (3.8.3-5)",
                subscribe(version, 1, &[], &[("notice", 0x80)]),
            ),
        ]
    })
    .await;
}

#[tokio::test]
async fn text_that_is_no_utf8_ends_the_session() {
    both(|version| {
        let ends = |what, send| row(version, what, send, Ends(WRONG));
        let filter = |bytes: &[u8]| {
            let properties: &[u8] = if version == V5 { &[0] } else { &[] };
            packet(0x82, &[&[0, 1], properties, &data(bytes), &[0]])
        };
        vec![
            ends(
                "a surrogate in a topic (1.5.4-1)",
                publish(version, 2, [0xED, 0xA0, 0x80], 1, &[], ""),
            ),
            ends(
                "half a character in a topic (1.5.4-1)",
                publish(version, 2, [0xC3], 1, &[], ""),
            ),
            ends(
                "a surrogate in a filter (1.5.4-1)",
                filter(&[0xED, 0xA0, 0x80]),
            ),
            ends(
                "an overlong form in a filter (1.5.4-1)",
                filter(&[0xC0, 0x80]),
            ),
        ]
    })
    .await;
}

#[tokio::test]
async fn acknowledgements_of_nothing_are_ignored() {
    // Neither version says what is to be done with PUBACK and PUBCOMP, which may be late; to PUBREC a sender answers with
    // PUBREL (4.3.3).
    both(|version| {
        let not_found = if version == V5 { 0x92 } else { 0 };
        let goes = |what, first, answers| row(version, what, ack(first, 9), Goes(answers));
        vec![
            goes("PUBACK of nothing (4.3.2)", 0x40, vec![]),
            goes("PUBCOMP of nothing (4.3.3)", 0x70, vec![]),
            goes(
                "PUBREC of nothing (3.6.2.1)",
                0x50,
                vec![Pubrel(9, not_found)],
            ),
        ]
    })
    .await;
}
