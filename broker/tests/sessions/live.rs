//! Live sessions, as an administrator sees them.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use herald_acl::{Actions, Username};
use herald_broker::{
    Broker, Credential, Limits, LiveQuery, LiveSession, Origin, Protocol, Transport,
};
use rstest::rstest;

use crate::{
    client::{
        Answer::{Connack, Puback, Suback},
        Client,
    },
    common::{
        encode::{Connect, V3, V5, ack, publish, subscribe},
        hosts::{self, BRIEF, PEER},
    },
    held::Held,
    setup::{alice, ask, connect, next, open, start, until},
};

/// All sessions there are.
pub(crate) fn all(broker: &Broker) -> Vec<LiveSession> {
    let all = LiveQuery {
        limit: usize::MAX,
        ..LiveQuery::default()
    };
    broker.live(all).expect("there is no wrong id in it")
}

/// The only session there is.
pub(crate) fn only(broker: &Broker) -> LiveSession {
    let mut all = all(broker);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn clients(sessions: &[LiveSession]) -> Vec<&str> {
    sessions.iter().map(|s| &*s.client_id).collect()
}

fn of(username: &'static str, client_id: &'static str) -> Connect {
    Connect {
        username,
        ..connect(client_id, true, 0)
    }
}

#[rstest]
#[case(V3, Protocol::V311, Transport::Tcp, "alice")]
#[case(V5, Protocol::V5, Transport::Tls, "bob")]
#[case(V5, Protocol::V5, Transport::WebSocket, BRIEF)]
#[tokio::test]
async fn a_session_shows_whose_it_is_where_it_comes_from_and_how(
    #[case] version: u8,
    #[case] protocol: Protocol,
    #[case] transport: Transport,
    #[case] username: &'static str,
) {
    let (broker, _intake) = start(5).await;
    let peer: SocketAddr = "[2001:db8::1]:4711".parse().unwrap();
    let before = SystemTime::now();
    let mut client = Client::from(&broker, version, Origin { peer, transport });
    let connect = Connect {
        username,
        keep_alive: 17,
        ..Connect::new(version)
    };
    client.send(&connect.bytes()).await;
    assert_eq!(next(&mut client).await, Connack(0));
    let shown = only(&broker);
    assert_eq!(shown.username, Username::parse(username).unwrap());
    assert_eq!(&*shown.client_id, "phone");
    assert_eq!(shown.peer, Some(peer));
    assert_eq!((shown.transport, shown.protocol), (transport, protocol));
    assert_eq!(shown.keep_alive_s, 17);
    assert_eq!((shown.subscriptions, shown.in_flight), (0, 0));
    assert!((before..=SystemTime::now()).contains(&shown.began_at));
    match shown.credential {
        Credential::Password => assert_ne!(username, BRIEF),
        Credential::Token { id, .. } => assert_eq!((&*id, username), ("token", BRIEF)),
    }
}

#[tokio::test]
async fn a_session_shows_how_much_it_has_to_do() {
    let (broker, _intake) = start(5).await;
    let mut phone = open(&broker, &connect("phone", true, 0)).await;
    let both = subscribe(V5, 1, &[], &[("notice", 1), ("last", 1)]);
    assert_eq!(ask(&mut phone, &both).await, Suback(1, vec![1, 1]));
    assert_eq!(only(&broker).subscriptions, 2);
    phone.send(&publish(V5, 0, "notice", 0, &[], "0")).await;
    phone.send(&publish(V5, 2, "notice", 1, &[], "1")).await;
    let mut three = vec![];
    for _ in 0..3 {
        three.push(next(&mut phone).await);
    }
    assert!(three.contains(&Puback(1, 0)), "{three:?}");
    until(|| only(&broker).in_flight == 1).await;
    phone.send(&ack(0x40, 1)).await;
    until(|| only(&broker).in_flight == 0).await;
}

/// Only MQTT 5 can be told of another one.
#[rstest]
#[case(V5, 60, 30)]
#[case(V5, 0, 30)]
#[case(V5, 20, 20)]
#[case(V3, 60, 60)]
#[tokio::test]
async fn the_keep_alive_shown_is_the_one_in_force(
    #[case] version: u8,
    #[case] keep_alive: u16,
    #[case] shown: u16,
) {
    let limits = Limits {
        max_keep_alive_s: 30,
        ..Limits::default()
    };
    let broker = hosts::broker(limits, Actions::Both, Arc::new(Held::new())).await;
    let connect = Connect {
        keep_alive,
        ..Connect::new(version)
    };
    let _client = open(&broker, &connect).await;
    assert_eq!(only(&broker).keep_alive_s, shown);
}

#[tokio::test]
async fn sessions_are_listed_page_by_page_and_by_user() {
    let (broker, _intake) = start(5).await;
    let mut open_ones = vec![];
    for (username, client_id) in [
        ("alice", "1"),
        ("bob", "2"),
        ("alice", "3"),
        ("root", "4"),
        ("alice", "5"),
    ] {
        open_ones.push(open(&broker, &of(username, client_id)).await);
    }
    let alice = alice();
    for (username, expected) in [
        (None, vec!["1", "2", "3", "4", "5"]),
        (Some(&alice), vec!["1", "3", "5"]),
    ] {
        let mut seen = vec![];
        let mut after: Option<String> = None;
        loop {
            let page = broker.live(LiveQuery {
                username,
                after: after.as_deref(),
                limit: 2,
            });
            let page = page.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            assert!(page.len() <= 2);
            seen.extend(page);
        }
        assert_eq!(clients(&seen), expected);
    }
}

#[tokio::test]
async fn a_page_begins_behind_a_session_that_has_ended_and_not_behind_what_is_none() {
    let (broker, _intake) = start(5).await;
    let first = open(&broker, &of("alice", "first")).await;
    let _second = open(&broker, &of("bob", "second")).await;
    let id = all(&broker)[0].id.clone();
    drop(first);
    until(|| broker.sessions() == 1).await;
    let behind = |after| {
        broker.live(LiveQuery {
            after: Some(after),
            limit: 9,
            ..LiveQuery::default()
        })
    };
    assert_eq!(clients(&behind(&id).unwrap()), ["second"]);
    for text in ["", "x", "1", "bob"] {
        assert!(behind(text).is_err(), "{text:?}");
    }
    // All that live now are behind one of an earlier run of the process.
    let (run, number) = id.split_once('-').unwrap();
    let run = u32::from_str_radix(run, 16).unwrap().wrapping_add(1);
    let earlier = format!("{run:08x}-{number}9999");
    assert_eq!(clients(&behind(&earlier).unwrap()), ["second"]);
}

#[tokio::test]
async fn a_session_that_waits_for_its_client_is_listed_and_is_the_same_when_that_is_back() {
    let (broker, _intake) = start(5).await;
    let mut phone = open(&broker, &connect("phone", true, 60)).await;
    let notice = subscribe(V5, 1, &[], &[("notice", 1)]);
    assert_eq!(ask(&mut phone, &notice).await, Suback(1, vec![1]));
    let online = only(&broker);
    assert_eq!(online.peer, Some(PEER));
    drop(phone);
    until(|| broker.connected() == 0).await;
    let waiting = only(&broker);
    assert_eq!(waiting.peer, None);
    assert_eq!(
        LiveSession {
            peer: online.peer,
            ..waiting
        },
        online
    );

    let connect = Connect {
        keep_alive: 5,
        ..connect("phone", false, 60)
    };
    let _phone = open(&broker, &connect).await;
    let back = only(&broker);
    assert_eq!((back.id, back.peer), (online.id, Some(PEER)));
    assert_eq!((back.keep_alive_s, back.subscriptions), (5, 1));
    assert!(back.began_at >= online.began_at);
}

#[tokio::test]
async fn a_session_that_makes_room_for_another_is_not_listed_any_more() {
    let (broker, _intake) = start(1).await;
    drop(open(&broker, &connect("old", true, 60)).await);
    until(|| broker.connected() == 0).await;
    let _new = open(&broker, &connect("new", true, 60)).await;
    assert_eq!(&*only(&broker).client_id, "new");
}
