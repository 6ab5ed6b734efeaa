//! What becomes of messages before they end, told to whoever looks on.

use std::sync::Arc;

use herald_acl::{Actions, Policy, Subject, Username};
use herald_broker::{Broker, Limits, Revoked};
use rstest::rstest;

use crate::{
    client::{
        Answer::{Disconnect, Other, Puback, Suback, Unsuback},
        Client,
    },
    common::{
        encode::{Connect, V3, V5, ack, packet, publish, subscribe, unsubscribe},
        hosts::{self, NEWEST, allow, policy},
        inbox::notification,
    },
    held::Held,
    live::{all, only},
    setup::{
        alice, ask, connect, connect_one_by_one, next, next_is, open, published, start, until,
    },
};

const PROGRESS: &str = "users/alice/progress";
const INBOX: &str = "users/alice/notifications";

fn of(username: &'static str) -> Connect {
    Connect {
        username,
        ..connect("tablet", true, 0)
    }
}

/// Subscribes at QoS 1 and returns the code.
async fn code(client: &mut Client, filter: &str) -> u8 {
    match ask(client, &subscribe(V5, 1, &[], &[(filter, 1)])).await {
        Suback(1, codes) => codes[0],
        other => panic!("SUBACK expected: {other:?}"),
    }
}

/// A client of MQTT 5 that follows alice's progress.
async fn follower(broker: &Broker, connect: &Connect) -> Client {
    let mut client = open(broker, connect).await;
    assert_eq!(code(&mut client, PROGRESS).await, 0);
    client
}

/// Tells of alice, and returns whether anyone was there to be told.
fn tell(broker: &Broker, payload: &str) -> bool {
    tell_of(broker, "alice", payload)
}

fn tell_of(broker: &Broker, user: &str, payload: &str) -> bool {
    let name = Username::parse(user).expect("a username");
    let mut asked = false;
    broker.publish_progress(user, &name, || {
        asked = true;
        payload.to_owned().into()
    });
    asked
}

/// What was put into the client's mailbox has come once a second answer has.
async fn hears_nothing(client: &mut Client) {
    for _ in 0..2 {
        assert_eq!(client.answers(0).await, Ok(vec![]));
    }
}

/// A PUBLISH as nothing but progress comes: at QoS 0, not retained.
fn told(properties: &[Vec<u8>], payload: &str) -> crate::client::Answer {
    Other(publish(V5, 0, PROGRESS, 0, properties, payload))
}

#[rstest]
#[tokio::test]
async fn who_subscribed_to_exactly_it_is_told_and_no_inbox_begins(#[values(V3, V5)] version: u8) {
    let (broker, _intake) = start(5).await;
    let connect = Connect {
        client_id: "phone",
        ..Connect::new(version)
    };
    let mut phone = open(&broker, &connect).await;
    let exactly = subscribe(version, 1, &[], &[(PROGRESS, 2)]);
    assert_eq!(ask(&mut phone, &exactly).await, Suback(1, vec![0]));
    assert!(tell(&broker, "told"));
    let expected = publish(version, 0, PROGRESS, 0, &[], "told");
    assert_eq!(next(&mut phone).await, Other(expected));
    broker.notify("alice", &alice(), &notification(NEWEST + 1));
    hears_nothing(&mut phone).await;
}

#[tokio::test]
async fn no_wildcard_gets_it() {
    let (broker, _intake) = start(5).await;
    for (user, filter, own_inbox) in [
        ("alice", "users/alice/#", true),
        ("alice", "users/alice/+", true),
        ("root", "#", true),
        ("root", "users/#", true),
        ("root", "+/+/progress", false),
        ("root", "users/+/progress", false),
        ("root", "users/alice/#", false),
        ("root", "users/alice/progress/#", false),
    ] {
        let mut client = open(&broker, &of(user)).await;
        let filter = subscribe(V5, 1, &[], &[(filter, 0)]);
        assert_eq!(ask(&mut client, &filter).await, Suback(1, vec![0]));
        let inbox = if own_inbox { NEWEST as usize } else { 0 };
        assert_eq!(client.answers(inbox).await.unwrap().len(), inbox);
        assert!(!tell(&broker, "told"), "{filter:?}");
        broker.publish_progress_to_all(|| "told to all".into());
        hears_nothing(&mut client).await;
    }
}

#[tokio::test]
async fn a_wildcard_beside_it_changes_nothing() {
    let (broker, _intake) = start(5).await;
    let mut phone = open(&broker, &connect("phone", true, 0)).await;
    for (id, filter) in [(1, "users/alice/#"), (2, PROGRESS)] {
        let filter = subscribe(V5, id, &[vec![0x0B, id as u8]], &[(filter, 0)]);
        assert_eq!(ask(&mut phone, &filter).await, Suback(id, vec![0]));
        if id == 1 {
            phone.answers(NEWEST as usize).await.unwrap();
        }
    }
    assert!(tell(&broker, "told"));
    // For the one subscription alone.
    assert_eq!(next(&mut phone).await, told(&[vec![0x0B, 2]], "told"));
    // What was on its way to a subscription that ended does not come for the other one.
    assert!(tell(&broker, "too late"));
    phone.send(&unsubscribe(V5, 3, &[PROGRESS])).await;
    let mut answer = next(&mut phone).await;
    if answer == told(&[vec![0x0B, 2]], "too late") {
        answer = next(&mut phone).await;
    }
    assert_eq!(answer, Unsuback(3, vec![0]));
    assert!(!tell(&broker, "to nobody"));
    hears_nothing(&mut phone).await;
}

#[tokio::test]
async fn nobody_is_told_of_another_user_but_an_administrator() {
    let (broker, _intake) = start(5).await;
    let everything = allow("all", &Subject::Everyone, Actions::Both, "#");
    let mut bob = open(&broker, &of("bob")).await;
    for rules in [policy(Actions::Both), Policy::new(vec![everything])] {
        broker.set_policy(rules);
        assert_eq!(code(&mut bob, PROGRESS).await, 0x87);
        assert_eq!(code(&mut bob, "$share/g/users/bob/progress").await, 0x9E);
    }
    assert_eq!(code(&mut bob, "users/bob/progress").await, 0);
    let mut root = follower(&broker, &of("root")).await;
    assert!(tell(&broker, "of alice"));
    assert_eq!(next(&mut root).await, told(&[], "of alice"));
    hears_nothing(&mut bob).await;
    assert!(tell_of(&broker, "bob", "of bob"));
    next_is(&mut bob, "of bob").await;
    hears_nothing(&mut root).await;
    // Each of what it follows.
    broker.publish_progress_to_all(|| "to all".into());
    assert_eq!(next(&mut root).await, told(&[], "to all"));
    let own = publish(V5, 0, "users/bob/progress", 0, &[], "to all");
    assert_eq!(next(&mut bob).await, Other(own));
    hears_nothing(&mut root).await;
    hears_nothing(&mut bob).await;
}

#[tokio::test]
async fn nobody_may_publish_there() {
    let (broker, _intake) = start(5).await;
    let mut phone = follower(&broker, &connect("phone", true, 0)).await;
    let mut root = open(&broker, &of("root")).await;
    for flags in [2, 3] {
        let forged = publish(V5, flags, PROGRESS, 1, &[], "forged");
        assert_eq!(ask(&mut phone, &forged).await, Puback(1, 0x87));
        assert_eq!(ask(&mut root, &forged).await, Puback(1, 0x87));
    }
    hears_nothing(&mut phone).await;
}

#[tokio::test]
async fn a_rule_that_is_taken_away_ends_it() {
    let (broker, _intake) = start(5).await;
    let mut phone = follower(&broker, &connect("phone", true, 60)).await;
    assert_eq!(code(&mut phone, "last").await, 1);
    let last = allow("last", &Subject::Everyone, Actions::Both, "last");
    broker.set_policy(Policy::new(vec![last]));
    until(|| only(&broker).subscriptions == 1).await;
    assert!(!tell(&broker, "secret"));
    broker.set_policy(policy(Actions::Both));
    assert!(!tell(&broker, "still secret"));
    hears_nothing(&mut phone).await;
}

#[tokio::test]
async fn it_ends_with_the_session_however_that_ends() {
    let (broker, _intake) = start(5).await;
    for (expiry, end) in [
        (0, "cut"),
        (0, "disconnect"),
        (60, "cut"),
        (60, "disconnect"),
        (60, "kick"),
        (60, "user"),
        (60, "password"),
    ] {
        let mut phone = follower(&broker, &connect("phone", true, expiry)).await;
        assert!(tell(&broker, "before"));
        next_is(&mut phone, "before").await;
        let told = match end {
            "cut" => None,
            "disconnect" => {
                phone.send(&packet(0xE0, &[])).await;
                Some(vec![])
            }
            "kick" => {
                assert!(broker.kick(&only(&broker).id).is_some());
                Some(vec![Disconnect(0x98)])
            }
            revoked => {
                let whole = revoked == "user";
                let revoked = if whole {
                    Revoked::User
                } else {
                    Revoked::Password
                };
                broker.revoke(&alice(), &revoked);
                Some(vec![Disconnect(0x87)])
            }
        };
        if let Some(told) = told {
            assert_eq!(phone.until_closed().await, Ok(told), "{end}");
        }
        drop(phone);
        until(|| broker.connected() == 0).await;
        until(|| !tell(&broker, "to nobody")).await;
        // What is left of it waits for its client.
        for session in all(&broker) {
            broker.kick(&session.id);
        }
        until(|| broker.sessions() == 0).await;
    }
}

#[tokio::test]
async fn a_session_that_was_away_gets_only_what_is_new() {
    let (broker, _intake) = start(5).await;
    let phone = follower(&broker, &connect("phone", true, 60)).await;
    drop(phone);
    until(|| broker.connected() == 0).await;
    until(|| !tell(&broker, "missed")).await;
    // Followed again without a new SUBSCRIBE.
    let mut phone = open(&broker, &connect("phone", false, 60)).await;
    until(|| tell(&broker, "live")).await;
    assert_eq!(next(&mut phone).await, told(&[], "live"));
    hears_nothing(&mut phone).await;
    // And by a connection that takes over.
    let mut other = open(&broker, &connect("phone", false, 60)).await;
    assert_eq!(phone.until_closed().await, Ok(vec![Disconnect(0x8E)]));
    until(|| tell(&broker, "live again")).await;
    assert_eq!(next(&mut other).await, told(&[], "live again"));
    hears_nothing(&mut other).await;
}

/// A broker that keeps three shared messages for a session, and a client that follows alice's progress and takes one
/// unacknowledged message at a time.
async fn slow_follower() -> (Broker, Client) {
    let limits = Limits {
        queued_messages: 3,
        ..Limits::default()
    };
    let broker = hosts::broker(limits, Actions::Both, Arc::new(Held::new())).await;
    let phone = follower(&broker, &connect_one_by_one("phone")).await;
    (broker, phone)
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_and_no_notification_is() {
    let (broker, mut phone) = slow_follower().await;
    assert_eq!(code(&mut phone, INBOX).await, 1);
    next_is(&mut phone, r#"{"seq":1}"#).await;
    // Until that is acknowledged, everything else waits.
    for n in 1..=5 {
        assert!(tell(&broker, &format!("told {n}")));
    }
    assert_eq!(broker.metrics().shared_dropped.get(), 2);
    let mut came = vec![];
    for (id, seq) in (1..).zip(2..=NEWEST) {
        phone.send(&ack(0x40, id)).await;
        let notification = format!(r#"{{"seq":{seq}}}"#);
        loop {
            let next = next(&mut phone).await;
            let packet = published(&next).expect("nothing else was asked for");
            if packet.ends_with(notification.as_bytes()) {
                break;
            }
            came.push(next);
        }
    }
    assert_eq!(came, [3, 4, 5].map(|n| told(&[], &format!("told {n}"))));
    phone.send(&ack(0x40, NEWEST as u16)).await;
    hears_nothing(&mut phone).await;
}

#[tokio::test]
async fn it_never_takes_the_place_of_what_is_owed() {
    let (broker, mut phone) = slow_follower().await;
    let mut bob = open(&broker, &of("bob")).await;
    for client in [&mut phone, &mut bob] {
        assert_eq!(code(client, "notice").await, 1);
    }
    let texts = ["unacknowledged", "held", "one", "two", "three"];
    for (id, text) in (1..).zip(texts) {
        let packet = publish(V5, 2, "notice", 1, &[], text);
        let both = [ask(&mut bob, &packet).await, next(&mut bob).await];
        assert!(both.contains(&Puback(1, 0)), "{both:?}");
        bob.send(&ack(0x40, id)).await;
        match text {
            "unacknowledged" => next_is(&mut phone, text).await,
            // The session has it, and takes no more.
            "held" => hears_nothing(&mut phone).await,
            // Its place is the next one's.
            "two" => assert!(tell(&broker, "told")),
            _ => {}
        }
    }
    until(|| broker.metrics().shared_dropped.get() == 1).await;
    assert!(tell(&broker, "told"));
    assert_eq!(broker.metrics().shared_dropped.get(), 2);
    for (id, text) in (1..).zip(&texts[1..]) {
        phone.send(&ack(0x40, id)).await;
        next_is(&mut phone, text).await;
    }
    phone.send(&ack(0x40, texts.len() as u16)).await;
    hears_nothing(&mut phone).await;
}
