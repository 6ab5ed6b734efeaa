//! A server that does not know whether rights have ended lets wait what is shared.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::{Actions, Policy, Subject, Username};
use herald_broker::{Broker, Limits, Revoked, Standing};
use rstest::rstest;
use tokio::sync::watch;

use crate::{
    client::{
        Answer::{self, Connack, Disconnect, Pingresp, Puback, Suback},
        Client,
    },
    common::{
        encode::{Connect, V3, V5, ack, pingreq, publish, subscribe},
        hosts::{self, NEWEST},
    },
    cursor_host::INBOX,
    held::{Held, TAKEN},
    setup::{SEND, all_had_a_turn, ask, begin, connect, connect_one_by_one, next, next_is, open},
};

/// How the server is, as the test has it.
struct Switch {
    stands: watch::Sender<bool>,
    is_current: watch::Sender<bool>,
}

impl Standing for Switch {
    fn stands(&self) -> bool {
        *self.stands.borrow()
    }

    fn is_current(&self) -> bool {
        *self.is_current.borrow()
    }

    fn current(&self) -> BoxFuture<'_, ()> {
        let mut is_current = self.is_current.subscribe();
        async move {
            let _ = is_current.wait_for(|is| *is).await;
        }
        .boxed()
    }
}

/// A broker, its intake, and its switch.
async fn start() -> (Broker, Arc<Held>, Arc<Switch>) {
    let switch = Arc::new(Switch {
        stands: watch::Sender::new(true),
        is_current: watch::Sender::new(true),
    });
    let intake = Arc::new(Held::new());
    let policy = hosts::policy(Actions::Both);
    let host = hosts::host(intake.clone());
    let broker =
        Broker::start_among(Limits::default(), policy, host, switch.clone(), None, None).await;
    (broker.expect("it starts"), intake, switch)
}

impl Switch {
    /// From now on rights are known again.
    fn turn_on(&self, broker: &Broker) {
        self.is_current.send_replace(true);
        broker.go_on();
    }

    fn turn_off(&self) {
        self.is_current.send_replace(false);
    }
}

/// A client that has subscribed to `notice`.
async fn listening(broker: &Broker, connect: &Connect) -> Client {
    let mut client = open(broker, connect).await;
    let notice = subscribe(connect.version, 1, &[], &[("notice", 1)]);
    assert!(matches!(ask(&mut client, &notice).await, Suback(1, _)));
    client
}

#[rstest]
#[case(V3)]
#[case(V5)]
#[tokio::test]
async fn a_publish_waits_and_inboxes_go_on(#[case] version: u8) {
    let (broker, intake, switch) = start().await;
    let mut phone = listening(&broker, &connect("phone", true, 0)).await;
    let tablet = Connect {
        client_id: "tablet",
        ..Connect::new(version)
    };
    let mut tablet = open(&broker, &tablet).await;
    switch.turn_off();
    for (id, topic, payload) in [
        (1, "notice", "first"),
        (2, SEND, TAKEN),
        (3, "notice", "last"),
    ] {
        tablet
            .send(&publish(version, 2, topic, id, &[], payload))
            .await;
    }
    all_had_a_turn(&broker).await;
    let inbox = subscribe(V5, 2, &[], &[(INBOX, 1)]);
    assert_eq!(ask(&mut phone, &inbox).await, Suback(2, vec![1]));
    for seq in 1..=NEWEST {
        next_is(&mut phone, &format!(r#"{{"seq":{seq}}}"#)).await;
    }
    assert_eq!(ask(&mut phone, &pingreq()).await, Pingresp);
    assert!(intake.came().is_empty());

    switch.turn_on(&broker);
    for id in 1..=3 {
        assert_eq!(next(&mut tablet).await, Puback(id, 0));
    }
    assert_eq!(intake.came(), ["taken"]);
    next_is(&mut phone, "first").await;
    next_is(&mut phone, "last").await;
}

#[tokio::test]
async fn what_a_session_is_owed_is_held_and_not_lost() {
    let (broker, _intake, switch) = start().await;
    let mut phone = listening(&broker, &connect_one_by_one("phone")).await;
    let mut tablet = open(&broker, &connect("tablet", true, 0)).await;
    for (id, payload) in [(1, "first"), (2, "second")] {
        let answer = ask(&mut tablet, &publish(V5, 2, "notice", id, &[], payload)).await;
        assert_eq!(answer, Puback(id, 0));
    }
    next_is(&mut phone, "first").await;
    switch.turn_off();
    // There would be room for the second.
    phone.send(&ack(0x40, 1)).await;
    assert_eq!(ask(&mut phone, &pingreq()).await, Pingresp);
    all_had_a_turn(&broker).await;
    assert_eq!(ask(&mut phone, &pingreq()).await, Pingresp);
    switch.turn_on(&broker);
    next_is(&mut phone, "second").await;
}

#[tokio::test]
async fn what_is_retained_waits_too() {
    let (broker, _intake, switch) = start().await;
    let mut tablet = open(&broker, &connect("tablet", true, 0)).await;
    let retained = publish(V5, 3, "notice", 1, &[], "retained");
    assert_eq!(ask(&mut tablet, &retained).await, Puback(1, 0));
    switch.turn_off();
    let mut phone = listening(&broker, &connect("phone", true, 0)).await;
    all_had_a_turn(&broker).await;
    assert_eq!(ask(&mut phone, &pingreq()).await, Pingresp);
    switch.turn_on(&broker);
    next_is(&mut phone, "retained").await;
}

#[tokio::test]
async fn who_has_lost_the_right_meanwhile_has_published_nothing() {
    let (broker, _intake, switch) = start().await;
    let mut phone = listening(&broker, &connect("phone", true, 0)).await;
    let mut tablet = open(&broker, &connect("tablet", true, 0)).await;
    switch.turn_off();
    let notice = publish(V5, 2, "notice", 1, &[], "too late");
    tablet.send(&notice).await;
    all_had_a_turn(&broker).await;
    let listen = hosts::allow("l", &Subject::Everyone, Actions::Subscribe, "notice");
    broker.set_policy(Policy::new(vec![listen]));
    switch.turn_on(&broker);
    assert_eq!(next(&mut tablet).await, Puback(1, 0x87));
    assert_eq!(phone.answers(0).await, Ok(vec![]));
}

/// That a session has lost its right to be is learnt at the same moment as that the rights are known again.
#[tokio::test]
async fn who_was_revoked_meanwhile_has_published_nothing() {
    let (broker, intake, switch) = start().await;
    let bob = Connect {
        username: "bob",
        ..connect("phone", true, 0)
    };
    let mut phone = listening(&broker, &bob).await;
    for (topic, payload) in [("notice", "too late"), (SEND, TAKEN)] {
        let mut tablet = open(&broker, &connect("tablet", true, 0)).await;
        switch.turn_off();
        tablet.send(&publish(V5, 2, topic, 1, &[], payload)).await;
        all_had_a_turn(&broker).await;
        broker.revoke(&Username::parse("alice").unwrap(), &Revoked::User);
        switch.turn_on(&broker);
        let told = tablet.until_closed().await.unwrap();
        assert_eq!(told.last(), Some(&Disconnect(0x87)), "{told:?}");
    }
    assert_eq!(phone.answers(0).await, Ok(vec![]));
    assert!(intake.came().is_empty());
}

#[tokio::test]
async fn a_server_that_is_cut_off_has_taken_nothing_that_waits() {
    let (broker, intake, switch) = start().await;
    let mut phone = open(&broker, &connect("phone", true, 0)).await;
    switch.turn_off();
    phone.send(&publish(V5, 2, SEND, 1, &[], TAKEN)).await;
    all_had_a_turn(&broker).await;
    switch.stands.send_replace(false);
    broker.cut_off();
    assert_eq!(phone.until_closed().await, Ok(vec![Disconnect(0x89)]));
    switch.turn_on(&broker);
    let mut late = begin(&broker, &connect("phone", true, 0)).await;
    assert_eq!(next(&mut late).await, Connack(0x89));
    assert!(intake.came().is_empty());
}

/// Nobody is kept waiting for ever.
#[rstest]
#[case(V3, None)]
#[case(V5, Some(Puback(1, 0x80)))]
#[tokio::test]
async fn what_waits_for_too_long_is_not_taken(#[case] version: u8, #[case] told: Option<Answer>) {
    let (broker, intake, switch) = start().await;
    let mut phone = open(&broker, &Connect::new(version)).await;
    tokio::time::pause();
    switch.turn_off();
    phone.send(&publish(version, 2, SEND, 1, &[], TAKEN)).await;
    // It waits for longer than a packet may take to come.
    let answer = loop {
        if let Ok(answer) = phone.next().await {
            break answer;
        }
    };
    assert_eq!(answer, told);
    assert!(intake.came().is_empty());
}
