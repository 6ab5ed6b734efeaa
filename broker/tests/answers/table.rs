//! Every packet that a client sends with every property, and to its last byte: MQTT 5 table 2-4, and sections 2 and 3 of both
//! versions.

use crate::{
    client::Answer,
    common::encode::{self, V3, V5, data, number, packet, props, publish},
    row::{
        Expect::{self, Closes, Ends, Goes, Refuses},
        Row, check_at_the_start, check_in_session, row,
    },
    text::prop,
    user::user,
};

/// MQTT 5 section 4.13.1: a malformed packet, or a protocol error.
const WRONG: &[u8] = &[0x81, 0x82];

/// A packet, or the part of one, that has properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Connect,
    Will,
    Publish,
    Puback,
    Pubrec,
    Pubrel,
    Pubcomp,
    Subscribe,
    Unsubscribe,
    Disconnect,
}
use Place::*;

const PLACES: [Place; 10] = [
    Connect,
    Will,
    Publish,
    Puback,
    Pubrec,
    Pubrel,
    Pubcomp,
    Subscribe,
    Unsubscribe,
    Disconnect,
];

/// One line of table 2-4: its identifier with a value, and where a client may send it.
fn properties() -> Vec<(Vec<u8>, Vec<Place>)> {
    let (message, acks) = (vec![Publish, Will], vec![Puback, Pubrec, Pubrel, Pubcomp]);
    let none = vec![];
    vec![
        (number(0x01, &[1]), message.clone()),
        (number(0x02, &[0, 0, 0, 9]), message.clone()),
        (prop(0x03, "a"), message.clone()),
        (prop(0x08, "a"), message.clone()),
        (prop(0x09, "a"), message),
        (number(0x0B, &[1]), vec![Subscribe]),
        (number(0x11, &[0, 0, 0, 0]), vec![Connect, Disconnect]),
        (prop(0x12, "a"), none.clone()),
        (number(0x13, &[0, 9]), none.clone()),
        (prop(0x15, "a"), vec![Connect]),
        (prop(0x16, "a"), vec![Connect]),
        (number(0x17, &[1]), vec![Connect]),
        (number(0x18, &[0, 0, 0, 1]), vec![Will]),
        (number(0x19, &[1]), vec![Connect]),
        (prop(0x1A, "a"), none.clone()),
        (prop(0x1C, "a"), none.clone()),
        (prop(0x1F, "a"), [acks, vec![Disconnect]].concat()),
        (number(0x21, &[0, 9]), vec![Connect]),
        (number(0x22, &[0, 9]), vec![Connect]),
        (number(0x23, &[0, 1]), vec![Publish]),
        (number(0x24, &[1]), none.clone()),
        (number(0x25, &[1]), none.clone()),
        (user("a", "b"), PLACES.to_vec()),
        (number(0x27, &[0, 0, 16, 0]), vec![Connect]),
        (number(0x28, &[1]), none.clone()),
        (number(0x29, &[1]), none.clone()),
        (number(0x2A, &[1]), none.clone()),
        (number(0x7F, &[1]), none),
    ]
}

impl Place {
    /// The packet, with `properties` as they are: their length before them.
    fn with(self, properties: &[u8]) -> Vec<u8> {
        let ack = |first| packet(first, &[&[0, 9, 0], properties]);
        match self {
            Connect => connect(properties, None),
            Will => connect(&[0], Some(properties)),
            Publish => packet(0x32, &[&data("notice"), &[0, 9], properties, b"x"]),
            Puback => ack(0x40),
            Pubrec => ack(0x50),
            Pubrel => ack(0x62),
            Pubcomp => ack(0x70),
            Subscribe => packet(0x82, &[&[0, 9], properties, &data("notice"), &[1]]),
            Unsubscribe => packet(0xA2, &[&[0, 9], properties, &data("notice")]),
            Disconnect => packet(0xE0, &[&[0], properties]),
        }
    }

    fn is_first(self) -> bool {
        matches!(self, Connect | Will)
    }

    /// What must come back if nothing is wrong with it.
    fn good(self) -> Expect {
        match self {
            Connect | Will => Goes(vec![Answer::Connack(0)]),
            Publish => Goes(vec![Answer::Puback(9, 0)]),
            // Those of nothing are ignored.
            Puback | Pubcomp => Goes(vec![]),
            Pubrec => Goes(vec![Answer::Pubrel(9, 0x92)]),
            Pubrel => Goes(vec![Answer::Pubcomp(9, 0x92)]),
            Subscribe => Goes(vec![Answer::Suback(9, vec![1])]),
            Unsubscribe => Goes(vec![Answer::Unsuback(9, vec![0x11])]),
            Disconnect => Closes,
        }
    }

    fn bad(self) -> Expect {
        if self.is_first() {
            Refuses(&[0x80, 0x81, 0x82])
        } else {
            Ends(WRONG)
        }
    }
}

/// CONNECT of MQTT 5, with the properties of its will if it has one.
fn connect(properties: &[u8], will: Option<&[u8]>) -> Vec<u8> {
    let flags = if will.is_some() {
        0b1100_0110
    } else {
        0b1100_0010
    };
    let will = will.map(|properties| [properties, &data("notice"), &data("gone")].concat());
    let parts: [&[u8]; 7] = [
        &data("MQTT"),
        &[V5, flags, 0, 60],
        properties,
        &data("phone"),
        &will.unwrap_or_default(),
        &data("alice"),
        &data(crate::common::hosts::PASSWORD),
    ];
    packet(0x10, &parts)
}

async fn check(rows: Vec<(Place, Row)>) {
    let (first, later): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|(place, _)| place.is_first());
    let rows = |of: Vec<(Place, Row)>| of.into_iter().map(|(_, row)| row).collect();
    check_at_the_start(rows(first)).await;
    check_in_session(rows(later)).await;
}

#[tokio::test]
async fn every_property_is_taken_where_it_may_be_and_nowhere_else() {
    let mut rows = vec![];
    for (property, places) in properties() {
        for place in PLACES {
            let what = format!("property {:#04x} in {place:?} (table 2-4)", property[0]);
            let expect = match (place, property[0]) {
                // Enhanced authentication is not supported.
                (Connect, 0x15) => Refuses(&[0x8C]),
                // There is none without a method.
                (Connect, 0x16) => place.bad(),
                _ if places.contains(&place) => place.good(),
                _ => place.bad(),
            };
            let send = place.with(&props(std::slice::from_ref(&property)));
            rows.push((place, row(V5, what, send, expect)));
        }
    }
    check(rows).await;
}

#[tokio::test]
async fn no_property_comes_twice_but_user_properties() {
    let mut rows = vec![];
    for (property, places) in properties() {
        for place in places {
            let what = format!("property {:#04x} twice in {place:?} (2.2.2.2)", property[0]);
            let expect = if property[0] == 0x26 {
                place.good()
            } else {
                place.bad()
            };
            let send = place.with(&props(&[property.clone(), property.clone()]));
            rows.push((place, row(V5, what, send, expect)));
        }
    }
    check(rows).await;
}

#[tokio::test]
async fn properties_that_are_cut_or_whose_length_is_not_theirs_are_malformed() {
    let mut rows = vec![];
    for (property, places) in properties() {
        for place in places {
            let what = |how: &str| format!("property {:#04x} {how} in {place:?}", property[0]);
            let cut = &property[..property.len() - 1];
            let send = place.with(&props(&[cut.to_vec()]));
            let expect = match place {
                // The core calls it unspecified, which a server may (4.13.1).
                Subscribe if property[0] == 0x0B => Ends(&[0x80, 0x81]),
                _ => place.bad(),
            };
            rows.push((place, row(V5, what("cut"), send, expect)));
        }
    }
    for place in PLACES {
        let what =
            format!("a length of properties in two bytes where one does in {place:?} (1.5.5-1)");
        // PUBLISH takes it with a payload that could be anything.
        if place != Publish {
            rows.push((place, row(V5, what, place.with(&[0x80, 0]), place.bad())));
        }
    }
    check(rows).await;
}

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

#[tokio::test]
async fn every_packet_is_checked_to_its_last_byte() {
    for version in [V3, V5] {
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

#[tokio::test]
async fn a_response_topic_is_a_topic_name() {
    let rows = ["", "a/#", "+", "a\0"].map(|topic| {
        let send = publish(V5, 2, "notice", 1, &[prop(0x08, topic)], "");
        let what = format!("a response topic {topic:?} (3.3.2-14)");
        row(V5, what, send, Ends(&[0x81, 0x82, 0x90]))
    });
    check_in_session(rows.into()).await;
}

/// Sections 4.7.1, 4.8.2 and 4.13: the packet can be parsed, so each filter is answered for itself.
#[tokio::test]
async fn a_malformed_filter_is_refused_for_itself() {
    const MALFORMED: [&str; 8] = [
        "",
        "a#",
        "+a",
        "a/#/b",
        "$share/g",
        "$share//a",
        "$share/g/",
        "$share/+/a",
    ];
    let mut rows = vec![];
    for filter in MALFORMED {
        for version in [V3, V5] {
            let code = if version == V5 { 0x8F } else { 0x80 };
            let filters = [("notice", 1), (filter, 1), ("last", 0)];
            let send = encode::subscribe(version, 7, &[], &filters);
            let what = format!("SUBSCRIBE to {filter:?}");
            rows.push(row(
                version,
                what,
                send,
                Goes(vec![Answer::Suback(7, vec![1, code, 0])]),
            ));
            let send = encode::unsubscribe(version, 7, &[filter]);
            let codes = if version == V5 { vec![0x8F] } else { vec![] };
            let what = format!("UNSUBSCRIBE from {filter:?}");
            rows.push(row(
                version,
                what,
                send,
                Goes(vec![Answer::Unsuback(7, codes)]),
            ));
        }
    }
    check_in_session(rows).await;
}

/// mosquitto's bridges tell of themselves there.
#[tokio::test]
async fn what_a_bridge_tells_of_itself_is_taken() {
    const STATE: &str = "$SYS/broker/connection/home.bridge/state";
    let bridge = |version: u8| {
        encode::Connect {
            // `try_private`.
            version: version | 0x80,
            will: Some(encode::Will {
                qos: 1,
                retain: true,
                topic: STATE,
                payload: "0",
                properties: vec![],
            }),
            ..encode::Connect::new(version)
        }
    };
    let mut v5 = bridge(V5).bytes();
    // Written as 3.1.1, which has no properties.
    let properties = 2 + 6 + 4;
    v5.insert(properties, 0);
    v5.insert(properties + 1 + 2 + "phone".len(), 0);
    v5[1] += 2;
    let tell = |version| publish(version, 3, STATE, 7, &[], "1");
    check_at_the_start(vec![
        row(
            V3,
            "a bridge",
            bridge(V3).bytes(),
            Goes(vec![Answer::Connack(0)]),
        ),
        row(V5, "a bridge", v5, Goes(vec![Answer::Connack(0)])),
    ])
    .await;
    check_in_session(vec![
        row(V3, "its state", tell(V3), Goes(vec![Answer::Puback(7, 0)])),
        row(V5, "its state", tell(V5), Goes(vec![Answer::Puback(7, 0)])),
        row(
            V5,
            "what else is in $SYS",
            publish(V5, 2, "$SYS/broker/clients/total", 7, &[], "1"),
            Goes(vec![Answer::Puback(7, 0x87)]),
        ),
    ])
    .await;
}
