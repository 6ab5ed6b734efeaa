//! QoS 2, shared subscriptions and topic aliases.

use crate::{
    client::Answer::{Puback, Pubcomp, Pubrec, Suback, Unsuback},
    common::encode::{V3, V5, ack, number, publish, subscribe, unsubscribe},
    row::{
        Expect::{Ends, Goes},
        check_in_session, row,
    },
};

#[tokio::test]
async fn qos_2_is_acknowledged_in_two_steps() {
    let rows = |version| {
        let goes =
            |what, send: Vec<Vec<u8>>, answers| row(version, what, send.concat(), Goes(answers));
        let two = |flags| publish(version, flags, "notice", 7, &[], "x");
        let not_found = if version == V5 { 0x92 } else { 0 };
        vec![
            goes(
                "PUBLISH of QoS 2 (4.3.3-10)",
                vec![two(4)],
                vec![Pubrec(7, 0)],
            ),
            goes(
                "and PUBREL (4.3.3-11)",
                vec![two(4), ack(0x62, 7)],
                vec![Pubrec(7, 0), Pubcomp(7, 0)],
            ),
            goes(
                "again before PUBREL (4.3.3-10)",
                vec![two(4), two(0x0C), ack(0x62, 7)],
                vec![Pubrec(7, 0), Pubrec(7, 0), Pubcomp(7, 0)],
            ),
            goes(
                "the identifier again after PUBCOMP (4.3.3-12)",
                vec![two(4), ack(0x62, 7), two(4), ack(0x62, 7)],
                vec![Pubrec(7, 0), Pubcomp(7, 0), Pubrec(7, 0), Pubcomp(7, 0)],
            ),
            goes(
                "PUBREL of nothing (3.7.2.1)",
                vec![ack(0x62, 9)],
                vec![Pubcomp(9, not_found)],
            ),
            goes(
                "SUBSCRIBE at QoS 2 (3.8.4-7)",
                vec![subscribe(version, 7, &[], &[("rooms/alice/#", 2)])],
                vec![Suback(7, vec![2])],
            ),
        ]
    };
    check_in_session([rows(V3), rows(V5)].into_iter().flatten().collect()).await;
}

#[tokio::test]
async fn qos_2_where_one_may_not_publish_is_refused_in_pubrec() {
    let send = publish(V5, 4, "broadcast/x", 7, &[], "");
    check_in_session(vec![row(
        V5,
        "PUBREC that refuses (3.5.2.1)",
        send,
        Goes(vec![Pubrec(7, 0x87)]),
    )])
    .await;
}

#[tokio::test]
async fn a_share_is_granted_but_not_with_no_local() {
    let shared = |id, options| subscribe(V5, id, &[], &[("$share/g/rooms/alice/#", options)]);
    let both = [
        shared(7, 1),
        unsubscribe(V5, 8, &["$share/g/rooms/alice/#"]),
    ];
    check_in_session(vec![
        row(
            V5,
            "a share (4.8.2)",
            shared(7, 1),
            Goes(vec![Suback(7, vec![1])]),
        ),
        row(
            V5,
            "a share, and its end (3.11.3)",
            both.concat(),
            Goes(vec![Suback(7, vec![1]), Unsuback(8, vec![0])]),
        ),
        row(
            V5,
            "a share with no-local (3.8.3-4)",
            shared(7, 0b101),
            Ends(&[0x82]),
        ),
    ])
    .await;
}

/// "Topic alias invalid" says more than the "protocol error" of which the specification speaks, and each serves.
const ALIAS: [u8; 2] = [0x82, 0x94];

#[tokio::test]
async fn a_topic_alias_stands_for_the_topic_it_came_with() {
    let alias = |topic, id, n| publish(V5, 2, topic, id, &[number(0x23, &[0, n])], "x");
    let changed = [
        alias("notice", 1, 1),
        alias("broadcast/x", 2, 1),
        alias("", 3, 1),
    ];
    check_in_session(vec![
        row(
            V5,
            "an alias, and its use (3.3.2.3.4)",
            [alias("notice", 1, 1), alias("", 2, 1)].concat(),
            Goes(vec![Puback(1, 0), Puback(2, 0)]),
        ),
        row(
            V5,
            "an alias for another topic (3.3.4)",
            changed.concat(),
            Goes(vec![Puback(1, 0), Puback(2, 0x87), Puback(3, 0x87)]),
        ),
        row(
            V5,
            "an alias that stands for nothing (3.3.4)",
            alias("", 1, 1),
            Ends(&ALIAS),
        ),
        row(V5, "alias 0 (3.3.4)", alias("notice", 1, 0), Ends(&ALIAS)),
        row(V5, "alias 0 alone (3.3.4)", alias("", 1, 0), Ends(&ALIAS)),
    ])
    .await;
}
