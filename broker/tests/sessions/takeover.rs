//! A client comes back while its earlier connection or session is still there.

use std::time::Duration;

use futures_util::poll;
use herald_broker::Revoked;
use rstest::rstest;
use tokio::{
    io::{AsyncWriteExt as _, duplex},
    time::Instant,
};

use crate::{
    client::Answer::{Connack, Disconnect, Puback, Pubrec, Suback},
    common::{
        encode::{Connect, V3, V5, Will, number, publish, subscribe},
        hosts::ORIGIN,
    },
    held::{HELD, TAKEN},
    setup::{
        HELD_BODY, SEND, alice, all_had_a_turn, ask, begin, connect, next, next_is, open,
        park_with_will, start, until,
    },
};

#[tokio::test]
async fn a_session_that_is_taken_up_while_its_will_is_published_is_not_evicted() {
    let (broker, intake) = start(2).await;
    park_with_will(&broker, "phone").await;
    let mut tablet = open(&broker, &connect("tablet", true, 0)).await;
    let mut phone = begin(&broker, &connect("phone", true, 0)).await;
    until(|| intake.came() == [HELD_BODY]).await;

    let mut third = begin(&broker, &connect("third", true, 0)).await;
    assert_eq!(third.until_closed().await, Ok(vec![Connack(0x97)]));
    intake.let_go();
    assert_eq!(next(&mut phone).await, Connack(0));
    assert_eq!(phone.answers(0).await, Ok(vec![]));
    assert_eq!((broker.sessions(), broker.connected()), (2, 2));

    // What is not evicted is still found.
    broker.revoke(&alice(), &Revoked::User);
    assert_eq!(tablet.until_closed().await, Ok(vec![Disconnect(0x87)]));
    assert_eq!(phone.until_closed().await, Ok(vec![Disconnect(0x87)]));
}

/// Its time may be over just when the session is on its way to it.
#[tokio::test]
async fn a_session_goes_back_if_the_connection_that_claimed_it_is_gone() {
    let (broker, _intake) = start(5).await;
    let mut first = open(&broker, &connect("phone", true, 60)).await;
    let notice = subscribe(V5, 1, &[], &[("notice", 1)]);
    assert_eq!(ask(&mut first, &notice).await, Suback(1, vec![1]));
    drop(first);
    until(|| broker.connected() == 0).await;

    let (mut client, server) = duplex(1024);
    let connect_again = connect("phone", false, 60).bytes();
    client
        .write_all(&connect_again)
        .await
        .expect("there is room");
    let mut serving =
        Box::pin(broker.serve(server, ORIGIN, Instant::now() + Duration::from_secs(60)));
    // It claims the session, and whoever has that hands it over; but it is not there any more to take it.
    assert!(poll!(serving.as_mut()).is_pending());
    all_had_a_turn(&broker).await;
    drop(serving);

    let mut third = open(&broker, &connect("phone", false, 60)).await;
    let mut tablet = open(&broker, &connect("tablet", true, 0)).await;
    let news = publish(V5, 2, "notice", 1, &[], "news");
    assert_eq!(ask(&mut tablet, &news).await, Puback(1, 0));
    next_is(&mut third, "news").await;
}

#[tokio::test]
async fn a_session_that_a_connection_waits_for_is_not_evicted() {
    let (broker, _intake) = start(2).await;
    park_with_will(&broker, "phone").await;
    let _tablet = open(&broker, &connect("tablet", true, 0)).await;
    // Both are served before the task that has the session can hand it over.
    let mut phone = begin(&broker, &connect("phone", false, 0)).await;
    let mut third = begin(&broker, &connect("third", true, 0)).await;
    assert_eq!(third.until_closed().await, Ok(vec![Connack(0x97)]));
    assert_eq!(next(&mut phone).await, Connack(0));

    broker.revoke(&alice(), &Revoked::User);
    assert_eq!(phone.until_closed().await, Ok(vec![Disconnect(0x87)]));
}

#[rstest]
#[tokio::test]
async fn a_new_session_has_no_qos_2_identifiers_of_the_old(#[values(V3, V5)] version: u8) {
    let (broker, intake) = start(5).await;
    let connect = |clean, expiry| Connect {
        version,
        ..connect("phone", clean, expiry)
    };
    let send = |payload| publish(version, 4, SEND, 5, &[], payload);
    let mut first = open(&broker, &connect(true, 0)).await;
    first.send(&send(HELD)).await;
    until(|| intake.came() == [HELD_BODY]).await;
    // The first session is over, but for the answer that it waits for.
    let mut second = begin(&broker, &connect(false, 60)).await;
    all_had_a_turn(&broker).await;
    intake.let_go();
    assert_eq!(next(&mut second).await, Connack(0));
    drop(second);
    until(|| broker.connected() == 0).await;

    let mut third = open(&broker, &connect(false, 60)).await;
    assert_eq!(ask(&mut third, &send(TAKEN)).await, Pubrec(5, 0));
    let came = intake.came();
    assert_eq!(came, [HELD_BODY, "taken"], "acknowledged, never stored");
}

/// The Client gives up after five seconds.
#[tokio::test]
async fn a_client_whose_sends_are_held_back_is_let_in_at_once_when_it_comes_back() {
    for (clean, cut) in [(true, true), (true, false), (false, true), (false, false)] {
        let (broker, intake) = start(5).await;
        let connect = Connect {
            clean,
            ..Connect::new(V3)
        };
        let mut first = open(&broker, &connect).await;
        for id in 1..=3 {
            let send = publish(V3, 2, SEND, id, &[], HELD);
            first.send(&send).await;
        }
        until(|| intake.came().len() == 3).await;
        if cut {
            drop(first);
            until(|| broker.connected() == 0).await;
        }
        let mut second = open(&broker, &connect).await;
        // What was not acknowledged comes again.
        let again = publish(V3, 0b1010, SEND, 1, &[], TAKEN);
        assert_eq!(ask(&mut second, &again).await, Puback(1, 0));
        assert_eq!(broker.sessions(), 1);
    }
}

/// A will may be a message that is sent.
#[tokio::test]
async fn a_client_whose_will_is_held_back_is_let_in_at_once_when_it_comes_back() {
    for (expiry, cut) in [(0, true), (0, false), (60, true), (60, false)] {
        let (broker, intake) = start(5).await;
        let will = Some(Will {
            qos: 1,
            retain: false,
            topic: SEND,
            payload: HELD,
            properties: vec![],
        });
        let connect = Connect {
            will,
            ..connect("phone", false, expiry)
        };
        let first = open(&broker, &connect).await;
        let taken_over = (!cut).then_some(first);
        if cut {
            until(|| intake.came() == [HELD_BODY]).await;
        }
        let _second = open(&broker, &connect).await;
        until(|| intake.came() == [HELD_BODY]).await;
        if let Some(mut first) = taken_over {
            assert_eq!(first.until_closed().await, Ok(vec![Disconnect(0x8E)]));
        }
        assert_eq!(broker.sessions(), 1);
    }
}

#[tokio::test]
async fn a_connack_that_does_not_fit_ends_no_session() {
    let (broker, _intake) = start(5).await;
    let mut first = open(&broker, &connect("phone", true, 60)).await;
    let notice = subscribe(V5, 1, &[], &[("notice", 1)]);
    assert_eq!(ask(&mut first, &notice).await, Suback(1, vec![1]));
    drop(first);
    until(|| broker.connected() == 0).await;

    // A Maximum Packet Size below that of any CONNACK with properties.
    let mut narrow = connect("phone", false, 60);
    narrow.properties.push(number(0x27, &5_u32.to_be_bytes()));
    let mut second = begin(&broker, &narrow).await;
    assert_eq!(second.until_closed().await, Ok(vec![]));
    assert_eq!(broker.sessions(), 1);

    let mut third = open(&broker, &connect("phone", false, 60)).await;
    let mut tablet = open(&broker, &connect("tablet", true, 0)).await;
    let news = publish(V5, 2, "notice", 1, &[], "news");
    assert_eq!(ask(&mut tablet, &news).await, Puback(1, 0));
    next_is(&mut third, "news").await;
}
