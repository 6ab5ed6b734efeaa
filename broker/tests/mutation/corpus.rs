//! Streams of packets as a client should send them, in both versions: what mutation starts from.

use crate::{
    common::encode::{
        Connect, V3, V5, Will, ack, data, number, packet, pingreq, props, publish, subscribe,
        unsubscribe,
    },
    text::prop,
    user::user,
};

/// The packets of one connection; the first is CONNECT.
pub(crate) type Packets = Vec<Vec<u8>>;

/// Streams of both versions.
pub(crate) fn streams() -> Vec<Packets> {
    let mut streams = vec![];
    for (version, connects) in [(V3, connects_v3()), (V5, connects_v5())] {
        let bodies = bodies(version);
        // Each body once, behind one CONNECT after the other, and each CONNECT once at least.
        for i in 0..bodies.len().max(connects.len()) {
            let mut packets = vec![connects[i % connects.len()].bytes()];
            packets.extend(bodies[i % bodies.len()].iter().cloned());
            streams.push(packets);
        }
    }
    streams
}

fn connects_v3() -> Vec<Connect> {
    let plain = Connect::new(V3);
    let will = |qos, retain| Will {
        qos,
        retain,
        topic: "rooms/alice/will",
        payload: "gone",
        properties: vec![],
    };
    vec![
        plain.clone(),
        Connect {
            clean: false,
            client_id: "kept",
            ..plain.clone()
        },
        Connect {
            will: Some(will(1, false)),
            keep_alive: 0,
            ..plain.clone()
        },
        Connect {
            username: "root",
            client_id: "",
            ..plain.clone()
        },
        Connect {
            username: "bob",
            will: Some(will(2, true)),
            ..plain
        },
    ]
}

fn connects_v5() -> Vec<Connect> {
    let plain = Connect::new(V5);
    let will = Will {
        qos: 1,
        retain: true,
        topic: "notice",
        payload: "gone",
        properties: vec![
            number(0x18, &[0, 0, 0, 1]),
            number(0x01, &[1]),
            number(0x02, &[0, 0, 1, 0]),
            prop(0x03, "text/plain"),
            prop(0x08, "rooms/alice/answers"),
            prop(0x09, [0, 1, 2]),
            user("key", "value"),
        ],
    };
    let window = number(0x21, &[0, 2]);
    vec![
        plain.clone(),
        Connect {
            clean: false,
            client_id: "kept",
            properties: vec![number(0x11, &[0, 0, 0, 60]), window.clone()],
            ..plain.clone()
        },
        Connect {
            username: "root",
            properties: vec![
                number(0x27, &[0, 0, 0, 120]),
                number(0x22, &[0, 8]),
                number(0x19, &[1]),
                number(0x17, &[0]),
                user("a", "b"),
            ],
            ..plain.clone()
        },
        Connect {
            will: Some(will),
            properties: vec![window, number(0x22, &[0, 1])],
            ..plain.clone()
        },
        Connect {
            client_id: "",
            username: "bob",
            keep_alive: 0,
            ..plain.clone()
        },
        Connect {
            properties: vec![prop(0x15, "SCRAM-SHA-1"), prop(0x16, [1, 2, 3])],
            ..plain
        },
    ]
}

/// What may follow CONNECT.
fn bodies(version: u8) -> Vec<Packets> {
    let acks = |first, ids: &[u16]| -> Packets { ids.iter().map(|id| ack(first, *id)).collect() };
    let own = |id, qos| subscribe(version, id, &[], &[("users/alice/#", qos)]);
    let send = |id, body| {
        let payload = format!(r#"{{"body":"{body}","idempotency_key":"k{id}"}}"#);
        publish(version, 0x02, "users/alice/messages", id, &[], &payload)
    };
    let mut bodies = vec![
        [
            vec![own(1, 1)],
            acks(0x40, &[1, 2, 3, 4, 5, 6]),
            vec![disconnect(version)],
        ]
        .concat(),
        [vec![own(2, 2), pingreq()], acks(0x40, &[3, 1, 2, 9])].concat(),
        vec![
            own(3, 0),
            unsubscribe(version, 4, &["users/alice/#", "never/was"]),
            own(5, 1),
        ],
        vec![send(1, "a"), send(2, ""), send(3, "long"), pingreq()],
        vec![send(1, "busy"), send(2, "down"), send(2, "a")],
        vec![
            subscribe(
                version,
                7,
                &[],
                &[("rooms/alice/+", 1), ("rooms/alice/#", 2), ("notice", 0)],
            ),
            publish(version, 0x00, "rooms/alice/a", 0, &[], "zero"),
            publish(version, 0x02, "rooms/alice/b", 9, &[], "one"),
            publish(version, 0x0A, "rooms/alice/b", 9, &[], "one"),
            ack(0x40, 1),
            pingreq(),
            disconnect(version),
        ],
        vec![
            publish(version, 0x04, "rooms/alice/c", 20, &[], "two"),
            ack(0x62, 20),
            publish(version, 0x0C, "rooms/alice/c", 21, &[], "two"),
            publish(version, 0x0C, "rooms/alice/c", 21, &[], "two"),
            ack(0x62, 21),
            ack(0x62, 22),
        ],
        vec![
            subscribe(version, 1, &[], &[("rooms/alice/#", 2)]),
            publish(version, 0x04, "rooms/alice/c", 1, &[], "two"),
            ack(0x62, 1),
            ack(0x50, 1),
            ack(0x70, 1),
        ],
        vec![
            subscribe(
                version,
                8,
                &[],
                &[("$share/group/rooms/alice/#", 1), ("$share/g/notice", 0)],
            ),
            publish(version, 0x02, "rooms/alice/a", 1, &[], "shared"),
            ack(0x40, 1),
            unsubscribe(version, 9, &["$share/group/rooms/alice/#"]),
        ],
        vec![
            publish(version, 0x03, "notice", 2, &[], "kept"),
            subscribe(version, 10, &[], &[("notice", 1)]),
            ack(0x40, 1),
            publish(version, 0x01, "notice", 0, &[], ""),
        ],
        vec![
            subscribe(version, 11, &[], &[("#", 1), ("broadcast/#", 1)]),
            publish(version, 0x02, "broadcast/x", 5, &[], "all"),
            ack(0x40, 1),
            ack(0x40, 2),
        ],
    ];
    if version == V5 {
        bodies.extend(bodies_v5());
    }
    bodies
}

fn bodies_v5() -> Vec<Packets> {
    let all = [
        number(0x01, &[1]),
        number(0x02, &[0, 0, 0, 30]),
        prop(0x03, "text/plain"),
        prop(0x08, "rooms/alice/answers"),
        prop(0x09, [0xFF, 0, 1]),
        user("a", "b"),
        user("a", "c"),
    ];
    let alias = |n| number(0x23, &[0, n]);
    let identifier = number(0x0B, &[0x80, 0x01]);
    vec![
        vec![
            subscribe(V5, 1, &[identifier], &[("rooms/alice/#", 0b10_1101)]),
            publish(V5, 0x02, "rooms/alice/a", 1, &all, "with all"),
            packet(0x40, &[&[0, 1, 0x10], &props(&[prop(0x1F, "fine")])]),
        ],
        vec![
            publish(V5, 0x00, "rooms/alice/a", 0, &[alias(1)], "x"),
            publish(V5, 0x00, "", 0, &[alias(1)], "y"),
            publish(V5, 0x02, "", 3, &[alias(1), user("a", "b")], "z"),
            publish(V5, 0x00, "rooms/alice/b", 0, &[alias(1)], "x"),
            publish(V5, 0x00, "", 0, &[alias(1)], "x"),
        ],
        vec![
            subscribe(V5, 2, &[user("after", "3")], &[("users/alice/#", 0b0001)]),
            packet(0x40, &[&[0, 1, 0x80, 0]]),
            subscribe(V5, 3, &[user("after", "0")], &[("users/alice/#", 0b1_0001)]),
        ],
        vec![
            subscribe(V5, 1, &[], &[("rooms/alice/#", 2)]),
            publish(V5, 0x04, "rooms/alice/c", 7, &all, "two"),
            packet(0x62, &[&[0, 7, 0x92], &props(&[user("a", "b")])]),
            packet(0x50, &[&[0, 1, 0x97]]),
            packet(0x70, &[&[0, 1, 0x00, 0]]),
        ],
        vec![
            packet(
                0xF0,
                &[
                    &[0x18],
                    &props(&[prop(0x15, "SCRAM-SHA-1"), prop(0x16, "x")]),
                ],
            ),
            pingreq(),
        ],
        vec![packet(
            0xE0,
            &[
                &[0x04],
                &props(&[number(0x11, &[0, 0, 0, 5]), prop(0x1F, "bye")]),
            ],
        )],
        vec![packet(
            0xA2,
            &[
                &[0, 9],
                &props(&[user("a", "b")]),
                &data("notice"),
                &data("rooms/alice/#"),
            ],
        )],
    ]
}

fn disconnect(version: u8) -> Vec<u8> {
    if version == V5 {
        packet(0xE0, &[&[0x00, 0x00]])
    } else {
        packet(0xE0, &[])
    }
}
