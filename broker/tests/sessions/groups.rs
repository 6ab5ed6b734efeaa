//! Shared subscriptions whose members come and go.

use crate::{
    client::{
        Answer::{Puback, Suback, Unsuback},
        Client,
    },
    common::encode::{V5, ack, publish, subscribe, unsubscribe},
    setup::{ask, connect, connect_one_by_one, next, open, published, start},
};

/// The number that the next packet ends with.
async fn job(client: &mut Client) -> char {
    let next = next(client).await;
    let packet = published(&next).and_then(<[u8]>::last);
    char::from(*packet.expect("a job comes"))
}

#[tokio::test]
async fn what_waits_for_a_member_that_leaves_its_group_goes_to_another() {
    let (broker, _intake) = start(5).await;
    let mut leaves = open(&broker, &connect_one_by_one("leaves")).await;
    let mut stays = open(&broker, &connect("stays", true, 0)).await;
    for member in [&mut leaves, &mut stays] {
        let join = subscribe(V5, 1, &[], &[("$share/g/notice", 1)]);
        assert_eq!(ask(member, &join).await, Suback(1, vec![1]));
    }
    let mut boss = open(&broker, &connect("boss", true, 0)).await;
    for n in 1..=6 {
        let job = publish(V5, 2, "notice", n, &[], &n.to_string());
        assert_eq!(ask(&mut boss, &job).await, Puback(n, 0));
    }
    let mut done = vec![job(&mut leaves).await];
    for _ in 0..3 {
        done.push(job(&mut stays).await);
    }

    let leave = unsubscribe(V5, 2, &["$share/g/notice"]);
    assert_eq!(ask(&mut leaves, &leave).await, Unsuback(2, vec![0]));
    leaves.send(&ack(0x40, 1)).await;
    for _ in 0..2 {
        done.push(job(&mut stays).await);
    }
    done.sort_unstable();
    assert_eq!(done, ['1', '2', '3', '4', '5', '6']);
    assert_eq!(broker.metrics().shared_dropped.get(), 0);
    // Twice, as what there is room for is sent behind the answer.
    for _ in 0..2 {
        assert_eq!(leaves.answers(0).await, Ok(vec![]));
    }
}
