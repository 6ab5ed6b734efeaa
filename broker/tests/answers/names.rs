//! Topic names and filters within packets that can be parsed.

use crate::{
    client::Answer,
    common::encode::{self, V3, V5, publish},
    row::{
        Expect::{Ends, Goes},
        check_in_session, row,
    },
    text::prop,
};

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
