//! Every packet that a client sends, to its last byte: sections 2 and 3 of both versions.

use rstest::rstest;

use crate::{
    common::encode::{self, V3, V5, data, packet},
    row::{
        Expect::{Closes, Ends, Refuses},
        WRONG, check_at_the_start, check_in_session, row,
    },
    table::PacketKind::{Disconnect, Pubrel, Subscribe},
};

/// Every packet of a version, whole: what it is called, and its bytes.
fn packets(version: u8) -> Vec<(&'static str, Vec<u8>)> {
    let v5 = version == V5;
    let ack = |first: u8| packet(first, &[&[0, 9], if v5 { &[0, 0] } else { &[] }]);
    let none: &[u8] = if v5 { &[0] } else { &[] };
    let will = encode::Will {
        qos: 1,
        retain: false,
        topic: "notice",
        payload: "gone",
        properties: vec![],
    };
    vec![
        ("CONNECT", encode::Connect::new(version).bytes()),
        (
            "CONNECT with a will",
            encode::Connect {
                will: Some(will),
                ..encode::Connect::new(version)
            }
            .bytes(),
        ),
        ("PUBACK", ack(0x40)),
        ("PUBREC", ack(0x50)),
        ("PUBREL", ack(0x62)),
        ("PUBCOMP", ack(0x70)),
        (
            "SUBSCRIBE",
            packet(0x82, &[&[0, 9], none, &data("notice"), &[1]]),
        ),
        (
            "UNSUBSCRIBE",
            packet(0xA2, &[&[0, 9], none, &data("notice")]),
        ),
        ("PINGREQ", packet(0xC0, &[])),
        (
            "DISCONNECT",
            packet(0xE0, &[if v5 { &[0, 0] } else { &[] }]),
        ),
    ]
}

/// The packet with another body, and the length of that.
fn with_body(whole: &[u8], body: &[u8]) -> Vec<u8> {
    packet(whole[0], &[body])
}

#[rstest]
#[tokio::test]
async fn every_packet_is_checked_to_its_last_byte(#[values(V3, V5)] version: u8) {
    let (mut first, mut later) = (vec![], vec![]);
    for (name, whole) in packets(version) {
        let body = &whole[2..];
        let longer = with_body(&whole, &[body, &[0xFF]].concat());
        let shorter = (!body.is_empty()).then(|| with_body(&whole, &body[..body.len() - 1]));
        let both = [("a byte more", Some(longer)), ("a byte less", shorter)];
        for (how, send) in both
            .into_iter()
            .filter_map(|(how, send)| Some((how, send?)))
        {
            // A PUBACK whose properties are cut off has a reason code and no more (3.4.2.2.1), and so have others.
            let is_ack = matches!(
                name,
                "PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP" | "DISCONNECT"
            );
            if version == V5 && is_ack && how == "a byte less" {
                continue;
            }
            let what = format!("{name} with {how}");
            if name.starts_with("CONNECT") {
                let expect = if version == V5 {
                    Refuses(&[0x81, 0x82])
                } else {
                    Closes
                };
                first.push(row(version, what, send, expect));
            } else {
                later.push(row(version, what, send, Ends(WRONG)));
            }
        }
    }
    check_at_the_start(first).await;
    check_in_session(later).await;
}

#[tokio::test]
async fn acknowledgements_may_be_as_short_as_they_can_be() {
    let mut rows = vec![];
    for (name, whole) in packets(V5) {
        let place = match name {
            "PUBREL" => Pubrel,
            "DISCONNECT" => Disconnect,
            _ => continue,
        };
        for left_out in 0..=2 {
            let body = &whole[2..whole.len() - left_out];
            let what = format!("{name} with {left_out} bytes left out (3.6.2, 3.14.2)");
            rows.push(row(V5, what, with_body(&whole, body), place.good()));
        }
    }
    check_in_session(rows).await;
}

#[tokio::test]
async fn a_length_takes_no_more_bytes_than_it_needs() {
    let ping = row(V5, "PINGREQ (1.5.5-1)", vec![0xC0, 0x80, 0], Ends(WRONG));
    let mut subscribe = Subscribe.with(&[0]);
    subscribe[1] |= 0x80;
    subscribe.insert(2, 0);
    let subscribe = row(V5, "SUBSCRIBE (1.5.5-1)", subscribe, Ends(WRONG));
    check_in_session(vec![ping, subscribe]).await;
}
