//! Access rules that change while a client is away, or waits.

use std::time::Duration;

use futures_util::poll;
use herald_acl::{Actions, Policy, Role, Subject};
use herald_broker::{Broker, Revoked, Step};
use tokio::{
    io::{AsyncWriteExt as _, duplex},
    task::yield_now,
    time::Instant,
};

use crate::{
    client::{
        Answer::{Puback, Suback},
        Client,
    },
    common::{
        encode::{Connect, V5, pingreq, publish, subscribe},
        hosts::{ORIGIN, allow, policy},
    },
    cursor_host::{self, INBOX},
    driven::Driven,
    live::all,
    setup::{alice, all_had_a_turn, ask, connect, next, next_is, open, start, until},
};

/// Rules that leave `notice` to administrators, and `last` to everyone.
fn without_notice() -> Policy {
    let admin = Subject::Role(Role::Admin);
    Policy::new(vec![
        allow("last", &Subject::Everyone, Actions::Both, "last"),
        allow("notice", &admin, Actions::Both, "notice"),
    ])
}

/// Alice's session, which gets what is published to `topics`, without its connection.
async fn park_with_subscriptions(broker: &Broker, topics: &[&str]) {
    let mut phone = open(broker, &connect("phone", true, 60)).await;
    for topic in topics {
        let topic = subscribe(V5, 1, &[], &[(topic, 1)]);
        assert_eq!(ask(&mut phone, &topic).await, Suback(1, vec![1]));
    }
    drop(phone);
    until(|| broker.connected() == 0).await;
}

/// An administrator who gets what is published to `notice` and `last`.
async fn administrator(broker: &Broker) -> Client {
    let root = Connect {
        username: "root",
        ..connect("root", true, 0)
    };
    let mut root = open(broker, &root).await;
    let both = subscribe(V5, 1, &[], &[("notice", 1), ("last", 1)]);
    assert_eq!(ask(&mut root, &both).await, Suback(1, vec![1, 1]));
    root
}

/// Publishes `payload` to `topic` at QoS 1, and waits until it has gone to all who subscribed: to `client`, too.
async fn publish_to_all(client: &mut Client, topic: &str, payload: &str) {
    let packet = publish(V5, 2, topic, 1, &[], payload);
    let both = [ask(client, &packet).await, next(client).await];
    assert!(both.contains(&Puback(1, 0)), "{both:?}");
}

#[tokio::test]
async fn what_is_published_while_one_may_not_have_it_does_not_come_later() {
    let (broker, _intake) = start(5).await;
    park_with_subscriptions(&broker, &["notice"]).await;
    broker.set_policy(without_notice());
    // A session that is left without a subscription ends.
    until(|| broker.sessions() == 0).await;
    let mut root = administrator(&broker).await;
    publish_to_all(&mut root, "notice", "secret of then").await;
    broker.set_policy(policy(Actions::Both));
    let mut phone = open(&broker, &connect("phone", false, 60)).await;
    assert_eq!(phone.answers(0).await, Ok(vec![]));
}

#[tokio::test]
async fn a_session_that_keeps_some_subscriptions_gets_what_came_for_these_alone() {
    let (broker, _intake) = start(5).await;
    park_with_subscriptions(&broker, &["notice", "last"]).await;
    broker.set_policy(without_notice());
    let mut root = administrator(&broker).await;
    publish_to_all(&mut root, "notice", "secret of then").await;
    publish_to_all(&mut root, "last", "for everyone").await;
    broker.set_policy(policy(Actions::Both));
    let mut phone = open(&broker, &connect("phone", false, 60)).await;
    next_is(&mut phone, "for everyone").await;
    assert_eq!(phone.answers(0).await, Ok(vec![]));
}

#[tokio::test]
async fn rules_that_change_while_a_session_is_on_its_way_to_a_connection_are_looked_at_if_it_comes_back()
 {
    let (broker, _intake) = start(5).await;
    park_with_subscriptions(&broker, &["notice", "last"]).await;
    let (mut client, server) = duplex(1024);
    let again = connect("phone", false, 60).bytes();
    client.write_all(&again).await.expect("there is room");
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut serving = Box::pin(broker.serve(server, ORIGIN, deadline));
    // Both orders come before the session is looked after: to hand it over, and to ask for its rights.
    assert!(poll!(serving.as_mut()).is_pending());
    broker.set_policy(without_notice());
    all_had_a_turn(&broker).await;
    assert_eq!(subscriptions(&broker), 2);
    drop(serving);
    until(|| subscriptions(&broker) == 1).await;
}

#[tokio::test]
async fn who_loses_the_right_to_be_here_as_a_subscription_gets_its_place_is_not_listened_to_any_more()
 {
    let (broker, cursors) = cursor_host::start(0).await;
    let mut phone = Driven::open(&broker, &connect("phone", true, 60)).await;
    phone.receive(&[subscribe(V5, 1, &[], &[(INBOX, 1)]), pingreq()].concat());
    assert!(!reads(phone.run()));
    cursors.may_answer.add_permits(1);
    expect_end_after_wait(&broker, phone).await;
}

#[tokio::test]
async fn who_loses_the_right_to_be_here_as_a_message_is_handed_on_is_not_listened_to_any_more() {
    let (broker, _intake) = start(5).await;
    let mut phone = Driven::open(&broker, &connect("phone", true, 60)).await;
    let messages = publish(V5, 0, "notice", 0, &[], "x").repeat(100);
    // As nothing else runs meanwhile, there is no room for them in the end.
    while reads(phone.run()) {
        phone.receive(&messages);
    }
    for _ in 0..100 {
        yield_now().await;
    }
    expect_end_after_wait(&broker, phone).await;
}

/// How many subscriptions Alice's session has.
fn subscriptions(broker: &Broker) -> usize {
    let all = all(broker);
    let phone = all.iter().find(|session| &*session.client_id == "phone");
    phone.expect("the session is kept").subscriptions
}

/// Whether the connection waits for its client.
fn reads(step: Step) -> bool {
    matches!(step, Step::Wait(wait) if wait.reads)
}

/// What `phone` waits for is there, and at the same time Alice loses the right to be here: no packet is handled any more.
async fn expect_end_after_wait(broker: &Broker, mut phone: Driven) {
    broker.revoke(&alice(), &Revoked::User);
    phone.event().await;
    assert_eq!(phone.step(), Step::Over);
}
