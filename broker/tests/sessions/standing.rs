//! A server that others may hold to be gone serves nobody.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use herald_acl::Actions;
use herald_broker::{Broker, Limits, Standing};
use rstest::rstest;

use crate::{
    client::Answer::{self, Connack, Disconnect, Suback},
    common::{
        encode::{Connect, V3, V5, publish, subscribe},
        hosts,
    },
    held::{HELD, Held},
    setup::{HELD_BODY, SEND, ask, begin, connect, next, next_is, open, until},
};

/// Whether the server stands, as the test has it.
struct Switch(AtomicBool);

impl Standing for Switch {
    fn stands(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Switch {
    fn turn(&self, stands: bool) {
        self.0.store(stands, Ordering::SeqCst);
    }
}

async fn start() -> (Broker, Arc<Held>, Arc<Switch>) {
    let limits = Limits {
        max_session_expiry_s: 60,
        ..Limits::default()
    };
    let (intake, switch) = (
        Arc::new(Held::new()),
        Arc::new(Switch(AtomicBool::new(true))),
    );
    let policy = hosts::policy(Actions::Both);
    let host = hosts::host(intake.clone());
    let broker = Broker::start_among(limits, policy, host, switch.clone(), None, None).await;
    (broker.expect("it starts"), intake, switch)
}

#[rstest]
#[case(V3, vec![], 3)]
#[case(V5, vec![Disconnect(0x89)], 0x89)]
#[tokio::test]
async fn connections_end_and_new_ones_are_refused_until_the_server_stands_again(
    #[case] version: u8,
    #[case] told: Vec<Answer>,
    #[case] refused: u8,
) {
    let (broker, _intake, switch) = start().await;
    let phone = Connect {
        version,
        ..connect("phone", true, 0)
    };
    let mut idle = open(&broker, &phone).await;
    switch.turn(false);
    broker.cut_off();
    assert_eq!(idle.until_closed().await, Ok(told));
    let mut late = begin(&broker, &phone).await;
    assert_eq!(next(&mut late).await, Connack(refused));
    switch.turn(true);
    open(&broker, &phone).await;
}

/// A process that was stopped may wake anywhere: nobody has told its sessions anything by then.
#[tokio::test]
async fn what_comes_before_anybody_has_noticed_is_neither_taken_nor_delivered() {
    let (broker, intake, switch) = start().await;
    let mut phone = open(&broker, &connect("phone", true, 0)).await;
    let notice = subscribe(V5, 1, &[], &[("notice", 0)]);
    assert!(matches!(ask(&mut phone, &notice).await, Suback(1, _)));
    let mut tablet = open(&broker, &connect("tablet", true, 0)).await;
    switch.turn(false);
    tablet.send(&publish(V5, 1, SEND, 1, &[], HELD)).await;
    assert_eq!(tablet.until_closed().await, Ok(vec![Disconnect(0x89)]));
    broker.nudge_all();
    assert_eq!(phone.until_closed().await, Ok(vec![Disconnect(0x89)]));
    assert!(intake.came().is_empty());
}

#[tokio::test]
async fn a_session_that_is_kept_is_there_when_its_client_comes_back() {
    let (broker, _intake, switch) = start().await;
    let kept = connect("phone", false, 60);
    let mut phone = open(&broker, &kept).await;
    let notice = subscribe(V5, 1, &[], &[("notice", 1)]);
    assert!(matches!(ask(&mut phone, &notice).await, Suback(1, _)));
    let parked = open(&broker, &connect("parked", false, 60)).await;
    drop(parked);
    until(|| broker.connected() == 1).await;
    switch.turn(false);
    broker.cut_off();
    assert_eq!(phone.until_closed().await, Ok(vec![Disconnect(0x89)]));
    until(|| broker.connected() == 0).await;
    assert_eq!(broker.sessions(), 2);
    switch.turn(true);
    let mut phone = open(&broker, &kept).await;
    let mut tablet = open(&broker, &connect("tablet", true, 0)).await;
    tablet.send(&publish(V5, 0, "notice", 0, &[], "news")).await;
    next_is(&mut phone, "news").await;
}

/// Neither is a send that the database does not answer.
#[tokio::test]
async fn a_connection_that_waits_for_a_send_is_not_waited_for() {
    let (broker, intake, switch) = start().await;
    let mut phone = open(&broker, &connect("phone", true, 0)).await;
    phone.send(&publish(V5, 2, SEND, 1, &[], HELD)).await;
    until(|| intake.came() == [HELD_BODY]).await;
    switch.turn(false);
    broker.cut_off();
    assert_eq!(phone.until_closed().await, Ok(vec![Disconnect(0x89)]));
}
