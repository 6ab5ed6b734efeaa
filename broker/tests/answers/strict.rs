//! What a lenient parser lets pass, or refuses in another way than the specification says.

use crate::{
    client::Answer::Connack,
    common::encode::{
        Connect, V3, V5, data, number, packet, props, publish, subscribe, unsubscribe,
    },
    row::{
        Expect::{Ends, Goes, Refuses},
        check_at_the_start, check_in_session, row,
    },
    user::user,
};

#[tokio::test]
async fn identifier_0_ends_the_session() {
    let rows = |version| {
        let ends = |what, send| row(version, what, send, Ends(&[0x81, 0x82]));
        vec![
            ends(
                "PUBLISH of identifier 0 (2.2.1-3)",
                publish(version, 2, "notice", 0, &[], ""),
            ),
            ends(
                "SUBSCRIBE of identifier 0 (2.2.1-3)",
                subscribe(version, 0, &[], &[("notice", 0)]),
            ),
            ends(
                "UNSUBSCRIBE of identifier 0 (2.2.1-3)",
                unsubscribe(version, 0, &["notice"]),
            ),
        ]
    };
    check_in_session([rows(V3), rows(V5)].into_iter().flatten().collect()).await;
}

#[tokio::test]
async fn names_and_text_that_may_not_be_end_the_session() {
    let rows = |version| {
        let topic = |what, topic, codes| {
            row(
                version,
                what,
                publish(version, 2, topic, 1, &[], ""),
                Ends(codes),
            )
        };
        let nul = subscribe(version, 1, &[], &[("a\0", 0)]);
        vec![
            topic("PUBLISH to # (3.3.2-2)", "notice/#", &[0x81, 0x82, 0x90]),
            topic("PUBLISH to + (3.3.2-2)", "+/notice", &[0x81, 0x82, 0x90]),
            topic("PUBLISH to no topic (3.3.2.1)", "", &[0x82, 0x94]),
            topic("U+0000 in a topic (1.5.4-2)", "a\0", &[0x81, 0x82, 0x90]),
            row(
                version,
                "U+0000 in a filter (1.5.4-2)",
                nul,
                Ends(&[0x81, 0x82, 0x8F]),
            ),
        ]
    };
    let user = row(
        V5,
        "U+0000 in a user property (1.5.4-2)",
        publish(V5, 2, "notice", 1, &[user("a\0", "b")], ""),
        Ends(&[0x81]),
    );
    check_in_session(
        [rows(V3), rows(V5), vec![user]]
            .into_iter()
            .flatten()
            .collect(),
    )
    .await;
}

#[tokio::test]
async fn options_and_properties_that_may_not_be_end_the_session() {
    let twice = [number(0x0B, &[1]), number(0x0B, &[2])];
    let expiry = packet(0xE0, &[&[0], &props(&[number(0x11, &[0, 0, 0, 9])])]);
    let options = |options| subscribe(V3, 1, &[], &[("notice", options)]);
    check_in_session(vec![
        row(
            V3,
            "no-local in 3.1.1 (MQTT-3-8.3-4)",
            options(0b100),
            Ends(&[]),
        ),
        row(
            V3,
            "retain handling in 3.1.1 (MQTT-3-8.3-4)",
            options(0b1_0000),
            Ends(&[]),
        ),
        row(
            V5,
            "two subscription identifiers (3.8.2.1.2)",
            subscribe(V5, 1, &twice, &[("notice", 0)]),
            Ends(&[0x82]),
        ),
        row(
            V5,
            "session expiry in DISCONNECT alone (3.14.2.2.2)",
            expiry,
            Ends(&[0x82]),
        ),
    ])
    .await;
}

/// A CONNECT with flags for its user name and password, and these.
fn signed(version: u8, flags: u8, fields: &[&[u8]]) -> Vec<u8> {
    let properties: &[u8] = if version == V5 { &[0] } else { &[] };
    let head = [
        &data("MQTT"),
        &[version, flags, 0, 60][..],
        properties,
        &data("phone"),
    ]
    .concat();
    packet(0x10, &[&head, &fields.concat()])
}

#[tokio::test]
async fn a_malformed_connect_is_not_answered_with_what_it_is_not() {
    let mut cut = Connect::new(V5).bytes();
    cut.truncate(cut.len() - 3);
    cut[1] -= 3;
    let mut cut_v3 = Connect::new(V3).bytes();
    cut_v3.truncate(cut_v3.len() - 3);
    cut_v3[1] -= 3;
    let alone = |version| signed(version, 0b0100_0010, &[&data("secret")]);
    check_at_the_start(vec![
        row(V5, "too few bytes (4.13)", cut, Refuses(&[0x80, 0x81])),
        row(V3, "too few bytes (MQTT-3.1.4-1)", cut_v3, Refuses(&[])),
        row(
            V3,
            "a password without a user name (MQTT-3.1.2-22)",
            alone(V3),
            Refuses(&[]),
        ),
        row(
            V5,
            "a password without a user name (3.1.2.9)",
            alone(V5),
            Refuses(&[0x86, 0x87]),
        ),
        row(
            V3,
            "another protocol name (MQTT-3.1.4-1)",
            Connect::new(V3).with("MQTX", 0xC2),
            Refuses(&[]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_topic_alias_maximum_of_0_is_welcome() {
    let connect = Connect {
        properties: vec![number(0x22, &[0, 0])],
        ..Connect::new(V5)
    };
    let what = "topic alias maximum 0 (3.1.2.11.5)";
    check_at_the_start(vec![row(V5, what, connect.bytes(), Goes(vec![Connack(0)]))]).await;
}
