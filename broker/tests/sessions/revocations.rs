//! The end of a user's or a token's right to be here.

use std::time::{Duration, Instant};

use herald_broker::{Revoked, Step};

use crate::{
    client::Answer::{Connack, Disconnect, Suback},
    common::{
        encode::{Connect, V5, Will, publish, subscribe},
        hosts::{BRIEF, ORIGIN, TOKEN},
    },
    driven::Driven,
    flood::Flood,
    held::HELD,
    live::only,
    setup::{
        HELD_BODY, SEND, alice, ask, begin, connect, next_is, open, park_with_will, published,
        start, until,
    },
};

#[tokio::test]
async fn a_revocation_while_the_old_will_is_published_is_not_lost() {
    let (broker, intake) = start(5).await;
    park_with_will(&broker, "phone").await;
    let mut phone = begin(&broker, &connect("phone", true, 0)).await;
    until(|| intake.came() == [HELD_BODY]).await;
    broker.revoke(&alice(), &Revoked::User);
    intake.let_go();
    let heard = phone.until_closed().await;
    assert_eq!(heard, Ok(vec![Connack(0), Disconnect(0x87)]));
}

#[tokio::test]
async fn a_user_who_lost_the_right_before_the_will_was_published_has_none() {
    let (broker, intake) = start(5).await;
    let bob = Connect {
        username: "bob",
        ..connect("bob", true, 0)
    };
    let mut bob = open(&broker, &bob).await;
    let notice = subscribe(V5, 1, &[], &[("notice", 1)]);
    assert_eq!(ask(&mut bob, &notice).await, Suback(1, vec![1]));
    let will = Some(Will {
        qos: 1,
        retain: false,
        topic: "notice",
        payload: "gone",
        properties: vec![],
    });
    // The session is kept, so that it shows when the connection has ended.
    let phone = Connect {
        will,
        ..connect("phone", true, 60)
    };
    let mut phone = open(&broker, &phone).await;
    phone.send(&publish(V5, 2, SEND, 5, &[], HELD)).await;
    until(|| intake.came() == [HELD_BODY]).await;
    drop(phone);
    until(|| broker.connected() == 1).await;

    broker.revoke(&alice(), &Revoked::User);
    intake.let_go();
    until(|| broker.sessions() == 1).await;
    // A will would have come before it.
    bob.send(&publish(V5, 0, "notice", 0, &[], "after")).await;
    next_is(&mut bob, "after").await;
}

/// How long a client goes on whose token expires in a fraction of a second.
const FLOOD: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_token_expires_under_a_client_that_never_pauses() {
    let (broker, _intake) = start(5).await;
    let first = Connect {
        username: BRIEF,
        ..connect("phone", true, 0)
    };
    let again = publish(V5, 0, "last", 0, &[], "x").repeat(50);
    let began = Instant::now();
    let stream = tokio::io::join(Flood::new(first.bytes(), again, FLOOD), tokio::io::sink());
    let deadline = tokio::time::Instant::now() + FLOOD;
    let serving = async move { broker.serve(stream, ORIGIN, deadline).await };
    tokio::spawn(serving).await.unwrap();
    assert!(began.elapsed() < FLOOD, "served as long as it spoke");
}

/// What is begun is done whole: else the session would be kept with an inbox of which it has no position.
#[tokio::test]
async fn a_token_that_expires_between_two_filters_leaves_an_inbox_that_is_delivered() {
    let (broker, _intake) = start(5).await;
    tokio::time::pause();
    let brief = |clean| Connect {
        username: BRIEF,
        ..connect("phone", clean, 60)
    };
    let filters = [("users/brief/notifications", 1), ("last", 1)];
    let mut first = Driven::open(&broker, &brief(true)).await;
    first.receive(&subscribe(V5, 1, &[], &filters));
    // The packet, then its first filter.
    assert_eq!([first.step(), first.step()], [Step::Again; 2]);
    assert_eq!(only(&broker).subscriptions, 1);
    tokio::time::advance(TOKEN).await;
    assert_eq!(first.next().await, Some(Suback(1, vec![1, 1])));
    assert_eq!(first.next().await, Some(Disconnect(0x87)));
    assert_eq!(first.next().await, None);

    let mut second = Driven::open(&broker, &brief(false)).await;
    assert_eq!(only(&broker).subscriptions, 2);
    let notification = second.next().await.unwrap();
    let packet = published(&notification).expect("a notification");
    assert!(packet.ends_with(br#"{"seq":1}"#), "{packet:?}");
}

/// Here the second filter is an error of protocol, a shared subscription with No Local (MQTT 5 section 3.8.3.1).
#[tokio::test]
async fn a_subscribe_that_is_cut_short_leaves_no_inbox_that_nothing_is_delivered_to() {
    const NO_LOCAL: u8 = 0b100;
    let (broker, _intake) = start(5).await;
    let filters = [
        ("users/alice/notifications", 1),
        ("$share/g/last", NO_LOCAL),
    ];
    let mut phone = open(&broker, &connect("phone", true, 60)).await;
    phone.send(&subscribe(V5, 1, &[], &filters)).await;
    assert_eq!(phone.until_closed().await, Ok(vec![Disconnect(0x82)]));
    let mut phone = open(&broker, &connect("phone", false, 60)).await;
    assert_eq!(phone.answers(0).await, Ok(vec![]));
    assert_eq!(only(&broker).subscriptions, 0);
}
