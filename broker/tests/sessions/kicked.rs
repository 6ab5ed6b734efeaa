//! Sessions that an administrator ends.

use herald_broker::Revoked;
use rstest::rstest;

use crate::{
    client::Answer::{self, Connack, Disconnect, Puback, Suback},
    common::encode::{Connect, V3, V5, Will, publish, subscribe},
    held::{HELD, TAKEN},
    live::{all, only},
    setup::{
        HELD_BODY, SEND, alice, all_had_a_turn, ask, begin, connect, next_is, open, park_with_will,
        start, until,
    },
};

#[rstest]
#[case(V3, vec![])]
#[case(V5, vec![Disconnect(0x98)])]
#[tokio::test]
async fn a_connected_client_is_told_and_its_session_is_over(
    #[case] version: u8,
    #[case] told: Vec<Answer>,
) {
    let (broker, _intake) = start(5).await;
    let kept = Connect {
        version,
        ..connect("phone", version == V5, 60)
    };
    let mut phone = open(&broker, &kept).await;
    let notice = subscribe(version, 1, &[], &[("notice", 1)]);
    phone.send(&notice).await;
    phone.next().await.unwrap().unwrap();
    let shown = only(&broker);
    assert_eq!(broker.kick(&shown.id), Some(shown.clone()));
    assert_eq!(phone.until_closed().await, Ok(told));
    until(|| broker.sessions() == 0).await;

    // It may come back, and finds nothing of what it had.
    let _phone = open(&broker, &kept).await;
    let back = only(&broker);
    assert_ne!(back.id, shown.id);
    assert_eq!(back.subscriptions, 0);
}

#[tokio::test]
async fn a_session_without_a_connection_ends_and_its_will_is_published() {
    let (broker, intake) = start(5).await;
    park_with_will(&broker, "phone").await;
    let id = only(&broker).id;
    assert!(broker.kick(&id).is_some());
    until(|| intake.came() == [HELD_BODY]).await;
    intake.let_go();
    until(|| broker.sessions() == 0).await;
    assert_eq!(broker.kick(&id), None);
}

#[tokio::test]
async fn a_client_that_is_ended_has_a_last_word() {
    let (broker, _intake) = start(5).await;
    let mut tablet = open(&broker, &connect("tablet", true, 0)).await;
    let notice = subscribe(V5, 1, &[], &[("notice", 0)]);
    assert_eq!(ask(&mut tablet, &notice).await, Suback(1, vec![0]));
    let will = Some(Will {
        qos: 1,
        retain: false,
        topic: "notice",
        payload: "gone",
        properties: vec![],
    });
    let phone = Connect {
        will,
        ..connect("phone", true, 60)
    };
    let mut phone = open(&broker, &phone).await;
    let id = all(&broker)[1].id.clone();
    assert!(broker.kick(&id).is_some());
    assert_eq!(phone.until_closed().await, Ok(vec![Disconnect(0x98)]));
    next_is(&mut tablet, "gone").await;
    // Nothing else of the same user's has ended.
    assert_eq!(&*only(&broker).client_id, "tablet");
    assert_eq!(tablet.answers(0).await, Ok(vec![]));
}

#[tokio::test]
async fn what_was_received_is_answered_first() {
    let (broker, intake) = start(5).await;
    let mut phone = open(&broker, &connect("phone", true, 60)).await;
    phone.send(&publish(V5, 2, SEND, 1, &[], HELD)).await;
    phone.send(&publish(V5, 2, SEND, 2, &[], TAKEN)).await;
    until(|| intake.came().len() == 2).await;
    assert!(broker.kick(&only(&broker).id).is_some());
    intake.let_go();
    assert_eq!(
        phone.until_closed().await,
        Ok(vec![Puback(1, 0), Puback(2, 0), Disconnect(0x98)])
    );
}

#[tokio::test]
async fn a_kick_while_the_connection_ends_by_itself_ends_the_session_nonetheless() {
    let (broker, intake) = start(5).await;
    let mut phone = open(&broker, &connect("phone", true, 60)).await;
    phone.send(&publish(V5, 2, SEND, 1, &[], HELD)).await;
    until(|| intake.came() == [HELD_BODY]).await;
    drop(phone);
    // Its session is to be kept, and waits for the answer.
    until(|| broker.connected() == 0).await;
    assert!(broker.kick(&only(&broker).id).is_some());
    intake.let_go();
    until(|| broker.sessions() == 0).await;
    let mut back = begin(&broker, &connect("phone", false, 0)).await;
    assert_eq!(back.answers(1).await, Ok(vec![Connack(0)]));
}

/// The order comes to a session that is over but for its last acknowledgement, and has no effect on the one that follows.
#[rstest]
#[tokio::test]
async fn an_order_to_end_is_not_for_the_next_session_of_the_client_id(
    #[values(false, true)] is_revoked: bool,
) {
    let (broker, intake) = start(5).await;
    let mut phone = open(&broker, &connect("phone", true, 0)).await;
    phone.send(&publish(V5, 2, SEND, 1, &[], HELD)).await;
    until(|| intake.came() == [HELD_BODY]).await;
    drop(phone);
    all_had_a_turn(&broker).await;
    if is_revoked {
        broker.revoke(&alice(), &Revoked::User);
    } else {
        let id = &all(&broker)[0].id;
        assert!(broker.kick(id).is_some());
    }
    let mut next = begin(&broker, &connect("phone", true, 0)).await;
    all_had_a_turn(&broker).await;
    intake.let_go();
    assert_eq!(next.answers(1).await, Ok(vec![Connack(0)]));
}

#[tokio::test]
async fn an_id_that_names_no_session_ends_none() {
    let (broker, _intake) = start(5).await;
    let mut phone = open(&broker, &connect("phone", true, 0)).await;
    let id = only(&broker).id;
    let (run, number) = id.split_once('-').unwrap();
    let other_run = u32::from_str_radix(run, 16).unwrap().wrapping_add(1);
    for id in [
        String::new(),
        "phone".into(),
        number.into(),
        format!("{run}-{number}0"),
        format!("{run}-0{number}"),
        format!("{other_run:08x}-{number}"),
    ] {
        assert_eq!(broker.kick(&id), None, "{id:?}");
    }
    assert_eq!(phone.answers(0).await, Ok(vec![]));
}
