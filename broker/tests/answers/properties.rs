//! Properties and options that are wrong in a session, and those that are right.

use crate::{
    client::Answer::{Puback, Suback, Unsuback},
    common::encode::{V3, V5, data, number, packet, props, publish, subscribe, unsubscribe},
    row::{
        Expect::{Ends, Goes},
        WRONG, check_in_session, row,
    },
    text::prop,
    user::user,
};

#[tokio::test]
async fn properties_that_are_wrong_end_the_session() {
    let published = |properties: &[Vec<u8>]| publish(V5, 2, "notice", 1, properties, "");
    let subscribed = |properties: &[Vec<u8>]| subscribe(V5, 1, properties, &[("notice", 0)]);
    let ends = |what, send, codes| row(V5, what, send, Ends(codes));
    check_in_session(vec![
        ends(
            "one that does not exist (2.2.2.2)",
            published(&[number(0x7F, &[0])]),
            &[0x81],
        ),
        ends(
            "one of CONNECT in PUBLISH (2.2.2.2)",
            published(&[number(0x11, &[0, 0, 0, 1])]),
            WRONG,
        ),
        ends(
            "one of PUBLISH in SUBSCRIBE (2.2.2.2)",
            subscribed(&[number(0x01, &[1])]),
            WRONG,
        ),
        ends(
            "one of PUBLISH in PUBREL (2.2.2.2)",
            packet(0x62, &[&[0, 1, 0], &props(&[number(0x01, &[1])])]),
            WRONG,
        ),
        ends(
            "payload format 2 (3.3.2.3.2)",
            published(&[number(0x01, &[2])]),
            WRONG,
        ),
        ends(
            "topic alias above the maximum (3.3.2-9)",
            published(&[number(0x23, &[0xFF, 0xFF])]),
            &[0x94],
        ),
        ends(
            "PUBLISH that names a subscription (3.3.4-6)",
            published(&[number(0x0B, &[1])]),
            &[0x82],
        ),
        ends(
            "subscription identifier 0 (3.8.2.1.2)",
            subscribed(&[number(0x0B, &[0])]),
            &[0x82],
        ),
        ends(
            "a length that is longer than the packet (2.2.2.1)",
            packet(0x30, &[&data("notice"), &[0x7F]]),
            &[0x81],
        ),
        ends(
            "a property that is longer than the length (2.2.2.1)",
            packet(0x30, &[&data("notice"), &[2, 0x26, 0], b"rest"]),
            &[0x81],
        ),
        ends(
            "retain handling 3 (3.8.3.1)",
            subscribe(V5, 1, &[], &[("notice", 0b11_0000)]),
            WRONG,
        ),
        ends(
            "AUTH with a reason that does not exist (3.15.2.1)",
            packet(0xF0, &[&[0x7F]]),
            WRONG,
        ),
        ends(
            "DISCONNECT with a reason that does not exist (3.14.2.1)",
            packet(0xE0, &[&[0x7F]]),
            WRONG,
        ),
    ])
    .await;
}

#[tokio::test]
async fn properties_that_are_there_twice_end_the_session() {
    let rows = [
        ("payload format twice (3.3.2.3.2)", number(0x01, &[1])),
        (
            "message expiry twice (3.3.2.3.3)",
            number(0x02, &[0, 0, 0, 1]),
        ),
        ("content type twice (3.3.2.3.9)", prop(0x03, "a")),
        ("response topic twice (3.3.2.3.5)", prop(0x08, "a")),
        ("correlation data twice (3.3.2.3.6)", prop(0x09, "a")),
        ("topic alias twice (3.3.2.3.4)", number(0x23, &[0, 1])),
    ]
    .map(|(what, property)| {
        let twice = publish(V5, 2, "notice", 1, &[property.clone(), property], "");
        row(V5, what, twice, Ends(&[0x82]))
    });
    check_in_session(rows.into()).await;
}

#[tokio::test]
async fn what_is_well_formed_is_answered_and_the_session_goes_on() {
    let rows = |version| {
        let goes = |what, send, answer| row(version, what, send, Goes(vec![answer]));
        let (denied, none, refused): (u8, Vec<u8>, u8) = if version == V5 {
            (0x87, vec![0x11], 0x87)
        } else {
            (0x80, vec![], 0)
        };
        vec![
            goes(
                "PUBLISH (3.4)",
                publish(version, 2, "notice", 7, &[], "x"),
                Puback(7, 0),
            ),
            goes(
                "PUBLISH with DUP (4.3.2)",
                publish(version, 0x0A, "notice", 7, &[], "x"),
                Puback(7, 0),
            ),
            goes(
                "PUBLISH without a payload (3.3.3)",
                publish(version, 2, "notice", 7, &[], ""),
                Puback(7, 0),
            ),
            goes(
                "PUBLISH where one may not (3.4.2.1)",
                publish(version, 2, "broadcast/x", 7, &[], ""),
                Puback(7, refused),
            ),
            goes(
                "SUBSCRIBE (3.9)",
                subscribe(version, 7, &[], &[("rooms/alice/#", 1)]),
                Suback(7, vec![1]),
            ),
            goes(
                "SUBSCRIBE to others' topics (3.9.3)",
                subscribe(version, 7, &[], &[("#", 0), ("notice", 0)]),
                Suback(7, vec![denied, 0]),
            ),
            goes(
                "UNSUBSCRIBE from nothing (3.11.3)",
                unsubscribe(version, 7, &["notice"]),
                Unsuback(7, none),
            ),
        ]
    };
    check_in_session([rows(V3), rows(V5)].into_iter().flatten().collect()).await;
    let all = [
        number(0x01, &[1]),
        number(0x02, &[0, 0, 0, 30]),
        prop(0x03, "text/plain"),
        prop(0x08, "rooms/alice/answers"),
        prop(0x09, [0xFF, 0]),
        user("a", "b"),
        user("a", "b"),
    ];
    let goes = |what, send, answer| row(V5, what, send, Goes(vec![answer]));
    check_in_session(vec![
        goes(
            "PUBLISH with all properties (3.3.2.3)",
            publish(V5, 2, "notice", 7, &all, ""),
            Puback(7, 0),
        ),
        goes(
            "SUBSCRIBE with all options (3.8.3.1)",
            subscribe(
                V5,
                7,
                &[number(0x0B, &[1]), user("a", "b")],
                &[("notice", 0b10_1101)],
            ),
            Suback(7, vec![1]),
        ),
    ])
    .await;
}
