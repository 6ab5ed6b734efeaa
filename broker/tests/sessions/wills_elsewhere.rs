//! Wills where there are several brokers: each is written down until it is settled, so that others publish it if a broker is gone.

use std::{sync::Arc, time::Duration};

use herald_acl::Role;
use herald_broker::{Broker, Credential, Identity};
use rstest::rstest;

use crate::{
    client::{
        Answer::{Disconnect, Suback},
        Client,
    },
    common::{
        encode::{Connect, V3, V5, Will, number, packet, publish, subscribe},
        hosts::PEER,
    },
    owners_host::{Directory, start},
    setup::{alice, ask, connect, next_is, open, until},
};

/// Alice's client, whose will waits for so many seconds, in a session that is kept if there are any.
fn with_will(version: u8, delay: u8) -> Connect {
    let will = Some(Will {
        qos: 1,
        retain: false,
        topic: "notice",
        payload: "gone",
        properties: vec![number(0x18, &[0, 0, 0, delay])],
    });
    Connect {
        version,
        will,
        ..connect("phone", true, if delay > 0 { 60 } else { 0 })
    }
}

/// Two brokers, and who hears what is published at the first.
async fn two() -> (Arc<Directory>, Vec<Broker>, Client) {
    let (directory, brokers) = start(2, 5).await;
    let mut listener = open(&brokers[0], &connect("listener", false, 60)).await;
    let notice = subscribe(V5, 1, &[], &[("notice", 1)]);
    assert_eq!(ask(&mut listener, &notice).await, Suback(1, vec![1]));
    (directory, brokers, listener)
}

/// Proves that nothing was published before.
async fn nothing_but(broker: &Broker, listener: &mut Client, text: &'static str) {
    let mut other = open(broker, &connect("other", true, 0)).await;
    other.send(&publish(V5, 0, "notice", 0, &[], text)).await;
    next_is(listener, text).await;
}

#[rstest]
#[tokio::test]
async fn a_will_is_written_down_until_it_is_settled(#[values(V3, V5)] version: u8) {
    let (directory, brokers, mut listener) = two().await;
    let mut phone = open(&brokers[0], &with_will(version, 0)).await;
    let kept = directory.will("phone").expect("it is written down");
    assert_eq!(kept.kept.delay, Duration::ZERO);
    phone.send(&packet(0xE0, &[])).await;
    assert_eq!(phone.until_closed().await, Ok(vec![]));
    until(|| directory.will("phone").is_none()).await;
    nothing_but(&brokers[0], &mut listener, "nothing").await;
    drop(open(&brokers[0], &with_will(version, 0)).await);
    next_is(&mut listener, "gone").await;
    until(|| directory.will("phone").is_none()).await;
    // Another one takes the place of one, also if it has none.
    let _first = open(&brokers[0], &with_will(version, 0)).await;
    let _second = open(&brokers[1], &connect("phone", true, 0)).await;
    assert!(directory.will("phone").is_none());
}

#[tokio::test]
async fn a_will_that_waits_is_published_by_who_has_it_when_it_is_due() {
    let (directory, brokers, mut listener) = two().await;
    for is_inherited in [false, true] {
        drop(open(&brokers[0], &with_will(V5, 1)).await);
        until(|| directory.will("phone").is_some_and(|will| will.waits)).await;
        if is_inherited {
            directory.inherit_wills();
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(2)).await;
            tokio::time::resume();
            nothing_but(&brokers[0], &mut listener, "nothing").await;
        } else {
            next_is(&mut listener, "gone").await;
            until(|| directory.will("phone").is_none()).await;
        }
    }
}

/// Whether others have published it, it cannot know before it is back.
#[rstest]
#[tokio::test]
async fn a_broker_that_was_cut_off_publishes_only_what_others_have_not(
    #[values(false, true)] is_inherited: bool,
    #[values(V3, V5)] version: u8,
) {
    let (directory, brokers, mut listener) = two().await;
    let mut phone = open(&brokers[0], &with_will(version, 0)).await;
    directory.set_down(true);
    brokers[0].cut_off();
    let told = (version == V5).then_some(Disconnect(0x89));
    assert_eq!(phone.until_closed().await, Ok(told.into_iter().collect()));
    assert_eq!(listener.until_closed().await, Ok(vec![Disconnect(0x89)]));
    assert!(directory.will("phone").is_some());
    if is_inherited {
        directory.inherit_wills();
    }
    directory.set_down(false);
    let mut listener = open(&brokers[0], &connect("listener", false, 60)).await;
    if !is_inherited {
        next_is(&mut listener, "gone").await;
    }
    nothing_but(&brokers[0], &mut listener, "then").await;
    assert!(directory.will("phone").is_none());
}

/// A client that is only sent away is waited for, also by the others.
#[tokio::test]
async fn who_stops_leaves_wills_that_wait_and_no_others() {
    let (directory, brokers, _listener) = two().await;
    let _phone = open(&brokers[0], &with_will(V5, 30)).await;
    let tablet = Connect {
        client_id: "tablet",
        ..with_will(V5, 0)
    };
    let _tablet = open(&brokers[0], &tablet).await;
    brokers[0].drain(Duration::ZERO).await;
    until(|| directory.will("phone").is_some_and(|will| will.waits)).await;
    assert!(directory.will("tablet").is_none());
    brokers[0].stop().await;
    assert!(directory.will("phone").is_some_and(|will| will.waits));
}

#[tokio::test]
async fn the_will_of_a_client_of_another_server_is_published_if_it_may_be() {
    let (directory, brokers, mut listener) = two().await;
    let _phone = open(&brokers[1], &with_will(V5, 0)).await;
    let kept = directory.will("phone").expect("it is written down").kept;
    let identity = Identity {
        user_id: "alice".into(),
        username: alice(),
        role: Role::User,
        credential: Credential::Password,
    };
    let forbidden = kept.text.replace("notice", "users/bob/notifications");
    for text in [&forbidden, &kept.text] {
        let published = brokers[0].publish_will(identity.clone(), "phone".into(), PEER, text);
        published.await.expect("it can be read");
    }
    next_is(&mut listener, "gone").await;
    nothing_but(&brokers[0], &mut listener, "nothing").await;
}
