//! What waits for a client that takes nothing is bounded.

use crate::{
    client::Answer::{Puback, Suback},
    common::encode::{Connect, V5, ack, publish, subscribe},
    setup::{ask, connect, connect_one_by_one, next, next_is, open, published, start},
};

/// More than some rounds of values, far less than one for each of the SUBSCRIBEs' filters.
const SOME: usize = 1000;

#[tokio::test]
async fn sys_values_that_wait_are_bounded_however_often_they_are_asked_for() {
    let (broker, _intake) = start(5).await;
    let reader = Connect {
        username: "root",
        ..connect_one_by_one("reader")
    };
    let mut reader = open(&broker, &reader).await;
    let notice = subscribe(V5, 1, &[], &[("notice", 1)]);
    assert_eq!(ask(&mut reader, &notice).await, Suback(1, vec![1]));
    let mut writer = open(&broker, &connect("writer", true, 0)).await;
    let first = publish(V5, 2, "notice", 1, &[], "first");
    assert_eq!(ask(&mut writer, &first).await, Puback(1, 0));
    // While it is not acknowledged, everything else waits.
    next_is(&mut reader, "first").await;
    let values = [("$SYS/herald/#", 0); 7000];
    for id in 2..7 {
        let values = subscribe(V5, id, &[], &values);
        let answer = ask(&mut reader, &values).await;
        assert!(matches!(answer, Suback(of, _) if of == id), "{answer:?}");
    }
    let last = publish(V5, 2, "notice", 2, &[], "last of all");
    assert_eq!(ask(&mut writer, &last).await, Puback(2, 0));

    reader.send(&ack(0x40, 1)).await;
    let mut waited = 0;
    loop {
        let next = next(&mut reader).await;
        let packet = published(&next).expect("nothing else was asked for");
        if packet.ends_with(b"last of all") {
            break;
        }
        waited += 1;
        assert!(waited < SOME, "more and more values");
    }
    assert!(waited > 0, "no values were asked for");
}
