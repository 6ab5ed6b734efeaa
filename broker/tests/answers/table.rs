//! Every packet that a client sends with every property: MQTT 5 table 2-4.

use crate::{
    client::Answer,
    common::encode::{V5, data, number, packet, props},
    row::{
        Expect::{self, Closes, Ends, Goes, Refuses},
        Row, WRONG, check_at_the_start, check_in_session, row,
    },
    text::prop,
    user::user,
};

/// A packet, or the part of one, that has properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PacketKind {
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
use PacketKind::*;

const KINDS: [PacketKind; 10] = [
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
fn properties() -> Vec<(Vec<u8>, Vec<PacketKind>)> {
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
        (user("a", "b"), KINDS.to_vec()),
        (number(0x27, &[0, 0, 16, 0]), vec![Connect]),
        (number(0x28, &[1]), none.clone()),
        (number(0x29, &[1]), none.clone()),
        (number(0x2A, &[1]), none.clone()),
        (number(0x7F, &[1]), none),
    ]
}

impl PacketKind {
    /// The packet, with `properties` as they are: their length before them.
    pub(crate) fn with(self, properties: &[u8]) -> Vec<u8> {
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
    pub(crate) fn good(self) -> Expect {
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

async fn check(rows: Vec<(PacketKind, Row)>) {
    let (first, later): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(kind, _)| kind.is_first());
    let rows = |of: Vec<(PacketKind, Row)>| of.into_iter().map(|(_, row)| row).collect();
    check_at_the_start(rows(first)).await;
    check_in_session(rows(later)).await;
}

#[tokio::test]
async fn every_property_is_taken_where_it_may_be_and_nowhere_else() {
    let mut rows = vec![];
    for (property, places) in properties() {
        for kind in KINDS {
            let what = format!("property {:#04x} in {kind:?} (table 2-4)", property[0]);
            let expect = match (kind, property[0]) {
                // Enhanced authentication is not supported.
                (Connect, 0x15) => Refuses(&[0x8C]),
                // There is none without a method.
                (Connect, 0x16) => kind.bad(),
                _ if places.contains(&kind) => kind.good(),
                _ => kind.bad(),
            };
            let send = kind.with(&props(std::slice::from_ref(&property)));
            rows.push((kind, row(V5, what, send, expect)));
        }
    }
    check(rows).await;
}

#[tokio::test]
async fn no_property_comes_twice_but_user_properties() {
    let mut rows = vec![];
    for (property, places) in properties() {
        for kind in places {
            let what = format!("property {:#04x} twice in {kind:?} (2.2.2.2)", property[0]);
            let expect = if property[0] == 0x26 {
                kind.good()
            } else {
                kind.bad()
            };
            let send = kind.with(&props(&[property.clone(), property.clone()]));
            rows.push((kind, row(V5, what, send, expect)));
        }
    }
    check(rows).await;
}

#[tokio::test]
async fn properties_that_are_cut_or_whose_length_is_not_theirs_are_malformed() {
    let mut rows = vec![];
    for (property, places) in properties() {
        for kind in places {
            let what = |how: &str| format!("property {:#04x} {how} in {kind:?}", property[0]);
            let cut = &property[..property.len() - 1];
            let send = kind.with(&props(&[cut.to_vec()]));
            let expect = match kind {
                // The core calls it unspecified, which a server may (4.13.1).
                Subscribe if property[0] == 0x0B => Ends(&[0x80, 0x81]),
                _ => kind.bad(),
            };
            rows.push((kind, row(V5, what("cut"), send, expect)));
        }
    }
    for kind in KINDS {
        let what =
            format!("a length of properties in two bytes where one does in {kind:?} (1.5.5-1)");
        // PUBLISH takes it with a payload that could be anything.
        if kind != Publish {
            rows.push((kind, row(V5, what, kind.with(&[0x80, 0]), kind.bad())));
        }
    }
    check(rows).await;
}
