//! Sessions where there are several brokers: each has one owner.

use std::time::Duration;

use herald_broker::{Broker, OwnSession, SessionEnd};
use rstest::rstest;
use tokio::{
    io::{AsyncWriteExt as _, duplex},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    client::{
        Answer::{self, Connack, Disconnect, Puback, Suback},
        Client,
    },
    common::{
        encode::{Connect, V3, V5, Will, number, publish, subscribe},
        hosts::ORIGIN,
    },
    owners_host::start,
    setup::{alice, ask, begin, connect, next, next_is, open, until},
};

/// Subscribes to what everybody may publish to.
async fn listen(client: &mut Client) {
    let notice = subscribe(V5, 1, &[], &[("notice", 1)]);
    assert_eq!(ask(client, &notice).await, Suback(1, vec![1]));
}

/// Publishes to that.
async fn tell(client: &mut Client, text: &str) {
    let news = publish(V5, 2, "notice", 1, &[], text);
    assert_eq!(ask(client, &news).await, Puback(1, 0));
}

/// A connection that has sent CONNECT. Its time may be over at any moment.
async fn connecting(broker: &Broker, connect: &Connect) -> JoinHandle<()> {
    let (mut client, server) = duplex(1024);
    let written = client.write_all(&connect.bytes()).await;
    written.expect("there is room");
    let deadline = Instant::now() + Duration::from_secs(60);
    let serving = broker.serve(server, ORIGIN, deadline);
    tokio::spawn(async move {
        serving.await;
        drop(client);
    })
}

/// The session of Alice's phone, up to any takeover.
fn phone() -> OwnSession {
    OwnSession {
        user_id: "alice".into(),
        username: alice(),
        client_id: "phone".into(),
        number: u64::MAX,
    }
}

#[rstest]
#[case(V3, vec![])]
#[case(V5, vec![Disconnect(0x8E)])]
#[tokio::test]
async fn a_client_that_connects_to_another_broker_is_taken_over(
    #[case] version: u8,
    #[case] told: Vec<Answer>,
) {
    let (directory, brokers) = start(2, 5).await;
    let connect = Connect {
        version,
        ..connect("phone", true, 0)
    };
    let mut first = open(&brokers[0], &connect).await;
    let mut second = open(&brokers[1], &connect).await;
    // By the CONNACK, the other one has nothing more of the session.
    assert_eq!((brokers[0].sessions(), brokers[1].sessions()), (0, 1));
    assert_eq!(first.until_closed().await, Ok(told));
    assert_eq!(directory.rows(), [("phone".into(), 1, true)]);
    assert_eq!(second.answers(0).await, Ok(vec![]));
    drop(second);
    until(|| directory.rows().is_empty()).await;
}

#[tokio::test]
async fn what_a_broker_had_of_a_session_is_not_gone_on_with_after_another_one_had_it() {
    let (directory, brokers) = start(2, 5).await;
    // Nobody learns of anything.
    directory.be_deaf();
    let kept = connect("phone", false, 60);
    let mut first = open(&brokers[0], &kept).await;
    listen(&mut first).await;
    drop(first);
    until(|| directory.rows() == [("phone".into(), 0, false)]).await;
    drop(open(&brokers[1], &kept).await);
    until(|| directory.rows() == [("phone".into(), 1, false)]).await;
    assert_eq!(brokers[0].sessions(), 1);
    let mut back = open(&brokers[0], &kept).await;
    let mut tablet = open(&brokers[0], &connect("tablet", true, 0)).await;
    tell(&mut tablet, "not for whoever has not subscribed").await;
    assert_eq!(back.answers(0).await, Ok(vec![]));
}

#[tokio::test]
async fn a_session_that_stays_with_its_broker_is_gone_on_with() {
    let (directory, brokers) = start(2, 5).await;
    let kept = connect("phone", false, 60);
    let mut first = open(&brokers[0], &kept).await;
    listen(&mut first).await;
    drop(first);
    until(|| directory.rows() == [("phone".into(), 0, false)]).await;
    let mut tablet = open(&brokers[0], &connect("tablet", true, 0)).await;
    tell(&mut tablet, "news").await;
    let mut back = open(&brokers[0], &kept).await;
    next_is(&mut back, "news").await;
    let phone = ("phone".into(), 0, true);
    assert_eq!(directory.rows(), [phone, ("tablet".into(), 0, true)]);
}

#[tokio::test]
async fn sessions_are_counted_on_all_brokers_and_one_without_a_connection_makes_room() {
    let (directory, brokers) = start(2, 2).await;
    let _phone = open(&brokers[0], &connect("phone", true, 0)).await;
    let tablet = open(&brokers[1], &connect("tablet", true, 60)).await;
    for broker in &brokers {
        let mut watch = begin(broker, &connect("watch", true, 0)).await;
        assert_eq!(watch.until_closed().await, Ok(vec![Connack(0x97)]));
    }
    // The same client id is not one more.
    let _phone = open(&brokers[1], &connect("phone", true, 0)).await;
    drop(tablet);
    until(|| brokers[1].connected() == 1).await;
    let _watch = open(&brokers[1], &connect("watch", true, 0)).await;
    let phone = ("phone".into(), 1, true);
    assert_eq!(directory.rows(), [phone, ("watch".into(), 1, true)]);
}

#[tokio::test]
async fn a_connection_that_is_gone_before_its_session_is_its_own_leaves_all_as_it_was() {
    let (directory, brokers) = start(1, 5).await;
    let kept = connect("phone", false, 60);
    let mut first = open(&brokers[0], &kept).await;
    listen(&mut first).await;
    let gate = directory.hold();
    let second = connecting(&brokers[0], &kept).await;
    let tablet = connecting(&brokers[0], &connect("tablet", true, 0)).await;
    until(|| directory.rows().len() == 2 && directory.waiting() == 2).await;
    second.abort();
    tablet.abort();
    assert!(second.await.is_err() && tablet.await.is_err());
    gate.add_permits(2);
    until(|| directory.rows() == [("phone".into(), 0, true)]).await;
    gate.add_permits(1);
    let mut tablet = open(&brokers[0], &connect("tablet", true, 0)).await;
    tell(&mut tablet, "news").await;
    next_is(&mut first, "news").await;
    drop(first);
    until(|| directory.rows()[0] == ("phone".into(), 0, false)).await;
    // One that comes for a session without a connection, and goes, leaves it so.
    let second = connecting(&brokers[0], &kept).await;
    until(|| directory.rows()[0] == ("phone".into(), 0, true)).await;
    second.abort();
    assert!(second.await.is_err());
    gate.add_permits(1);
    until(|| directory.rows()[0] == ("phone".into(), 0, false)).await;
}

#[rstest]
#[case::taken_over(SessionEnd::GoesOn, 0x80)]
#[case::kicked(SessionEnd::Kicked, 0x88)]
#[tokio::test]
async fn who_has_lost_the_session_before_it_came_to_it_is_not_let_in(
    #[case] end: SessionEnd,
    #[case] code: u8,
) {
    let (directory, brokers) = start(1, 5).await;
    let gate = directory.hold();
    let mut phone_here = begin(&brokers[0], &connect("phone", true, 0)).await;
    until(|| directory.rows().len() == 1).await;
    brokers[0].end_session(phone(), end).await;
    gate.add_permits(1);
    assert_eq!(phone_here.until_closed().await, Ok(vec![Connack(code)]));
    until(|| directory.rows().is_empty()).await;
    assert_eq!(brokers[0].sessions(), 0);
}

#[tokio::test]
async fn who_waits_for_a_session_when_the_broker_is_cut_off_is_not_let_in() {
    let (directory, brokers) = start(1, 5).await;
    let gate = directory.hold();
    let mut phone = begin(&brokers[0], &connect("phone", true, 0)).await;
    until(|| directory.rows().len() == 1).await;
    brokers[0].cut_off();
    gate.add_permits(1);
    assert_eq!(phone.until_closed().await, Ok(vec![Connack(0x89)]));
}

#[rstest]
#[case::taken_over(SessionEnd::GoesOn, 0x8E, false)]
#[case::anew(SessionEnd::BeginsAnew, 0x8E, true)]
#[case::kicked(SessionEnd::Kicked, 0x98, true)]
#[tokio::test]
async fn a_session_that_is_to_end_is_gone_once_that_is_said(
    #[case] end: SessionEnd,
    #[case] code: u8,
    #[case] publishes_will: bool,
    #[values(true, false)] is_connected: bool,
) {
    let (directory, brokers) = start(1, 5).await;
    let mut tablet = open(&brokers[0], &connect("tablet", true, 0)).await;
    listen(&mut tablet).await;
    let will = Some(Will {
        qos: 1,
        retain: false,
        topic: "notice",
        payload: "will",
        properties: vec![number(0x18, &[0, 0, 0, 30])],
    });
    let connect = Connect {
        will,
        ..connect("phone", false, 60)
    };
    let mut client = open(&brokers[0], &connect).await;
    if !is_connected {
        drop(client);
        until(|| brokers[0].connected() == 1).await;
        brokers[0].end_session(phone(), end).await;
    } else {
        brokers[0].end_session(phone(), end).await;
        assert_eq!(client.until_closed().await, Ok(vec![Disconnect(code)]));
    }
    assert_eq!(brokers[0].sessions(), 1);
    let tablet_row = ("tablet".into(), 0, true);
    assert_eq!(directory.rows(), [tablet_row]);
    if publishes_will {
        next_is(&mut tablet, "will").await;
    } else {
        assert_eq!(tablet.answers(0).await, Ok(vec![]));
    }
    // There is none any more.
    brokers[0].end_session(phone(), end).await;
}

#[tokio::test]
async fn an_order_of_before_does_not_end_what_was_taken_over_since() {
    let (directory, brokers) = start(1, 5).await;
    let mut first = open(&brokers[0], &connect("phone", true, 0)).await;
    let all = brokers[0].own_sessions();
    assert_eq!(all.len(), 1);
    let mut second = open(&brokers[0], &connect("phone", true, 0)).await;
    assert_eq!(first.until_closed().await, Ok(vec![Disconnect(0x8E)]));
    brokers[0]
        .end_session(all[0].clone(), SessionEnd::Kicked)
        .await;
    assert_eq!(second.answers(0).await, Ok(vec![]));
    assert_eq!(directory.rows(), [("phone".into(), 0, true)]);
}

/// A client that cannot decide between brokers.
#[tokio::test]
async fn of_many_that_come_at_once_one_has_the_session_in_the_end() {
    let (directory, brokers) = start(3, 5).await;
    let connect = connect("phone", false, 60);
    for _ in 0..10 {
        let mut clients = vec![];
        for at in 0..12 {
            clients.push(begin(&brokers[at % 3], &connect).await);
        }
        let mut let_in = vec![];
        for mut client in clients {
            if next(&mut client).await == Connack(0) {
                let_in.push(client);
            }
        }
        // All that had to be told has been.
        let mut alive = 0;
        for client in &mut let_in {
            alive += usize::from(client.answers(0).await.is_ok());
        }
        assert_eq!(alive, 1);
        drop(let_in);
        until(|| brokers.iter().all(|broker| broker.connected() == 0)).await;
        let sessions: usize = brokers.iter().map(herald_broker::Broker::sessions).sum();
        assert_eq!((sessions, directory.rows().len()), (1, 1));
    }
}
