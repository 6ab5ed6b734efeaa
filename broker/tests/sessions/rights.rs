//! Access rules that change while a client is away.

use herald_acl::{Actions, Policy, Role, Subject};
use herald_broker::Broker;

use crate::{
    client::{
        Answer::{Puback, Suback},
        Client,
    },
    common::{
        encode::{Connect, V5, publish, subscribe},
        hosts::{allow, policy},
    },
    setup::{ask, connect, next, next_is, open, start, until},
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
