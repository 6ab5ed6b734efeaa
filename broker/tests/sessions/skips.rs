//! Notifications that one session is told to leave out.

use herald_acl::Username;
use herald_broker::Broker;
use rstest::rstest;

use crate::{
    client::Answer::Suback,
    common::{
        encode::{V3, V5, ack, number, subscribe},
        inbox::notification,
    },
    gaps::{INBOX, NEWEST, NONE, all, came, follow, leave, phone, seqs, start},
    setup::{alice, connect, next, next_is, open},
};

/// Makes Alice's phone leave out what comes up to `up_to`.
fn skip(broker: &Broker, up_to: i64) {
    assert!(broker.skip("alice", &alice(), "phone", up_to));
}

/// With a receive maximum of 2, both of which are never acknowledged.
#[tokio::test]
async fn a_connected_session_goes_on_behind_what_it_skips() {
    let (broker, log) = start().await;
    let two = [number(0x21, &[0, 2])];
    let mut client = open(&broker, &phone(V5, false, &two)).await;
    follow(&mut client, V5, 1).await;
    let first = all(&mut client).await;
    assert_eq!(seqs(&first), [1, 2]);
    // What is behind them was not sent yet.
    skip(&broker, 50);
    // The client may have no more under way, though the server awaits nothing of these.
    assert_eq!(seqs(&all(&mut client).await), NONE);
    client.send(&ack(0x40, first[1].id)).await;
    let next_one = all(&mut client).await;
    assert_eq!(seqs(&next_one), [51]);
    assert_ne!(next_one[0].id, first[0].id);
    assert_eq!(log.acknowledged(), NONE);
    client.send(&ack(0x40, next_one[0].id)).await;
    assert_eq!(seqs(&all(&mut client).await), [52]);
    assert_eq!(log.acknowledged(), [51]);
    // It may still acknowledge what it was sent, to no effect but that there is room for another.
    client.send(&ack(0x40, first[0].id)).await;
    assert_eq!(seqs(&all(&mut client).await), [53]);
    assert_eq!(log.acknowledged(), NONE);
    leave(&broker, client).await;

    let mut client = open(&broker, &phone(V5, false, &two)).await;
    let again = all(&mut client).await;
    assert_eq!(seqs(&again), [52, 53]);
    assert!(again.iter().all(|came| came.again));
}

#[tokio::test]
async fn what_was_acknowledged_behind_a_gap_counts_once_the_gap_is_skipped() {
    let (broker, log) = start().await;
    let mut client = open(&broker, &phone(V5, false, &[])).await;
    follow(&mut client, V5, 1).await;
    let first = came(&next(&mut client).await);
    for _ in 2..=NEWEST {
        let came = came(&next(&mut client).await);
        client.send(&ack(0x40, came.id)).await;
    }
    assert_eq!(seqs(&all(&mut client).await), NONE);
    assert_eq!(log.acknowledged(), NONE);
    skip(&broker, first.seq);
    assert_eq!(seqs(&all(&mut client).await), NONE);
    assert_eq!(log.acknowledged(), [NEWEST]);
}

#[rstest]
#[tokio::test]
async fn a_session_that_was_away_is_not_sent_again_what_it_skips(#[values(V3, V5)] version: u8) {
    for up_to in [1, 5, 32, 40, NEWEST] {
        let (broker, log) = start().await;
        let mut client = open(&broker, &phone(version, false, &[])).await;
        follow(&mut client, version, 1).await;
        let first = all(&mut client).await;
        assert_eq!(seqs(&first), (1..=32).collect::<Vec<_>>());
        leave(&broker, client).await;
        skip(&broker, 1);
        skip(&broker, up_to);
        skip(&broker, 1);
        let mut client = open(&broker, &phone(version, false, &[])).await;
        // Of an earlier connection, and late.
        client.send(&ack(0x40, first[0].id)).await;
        let expected: Vec<_> = (up_to + 1..=NEWEST).collect();
        let mut got = vec![];
        while got.len() < expected.len() {
            let came = came(&next(&mut client).await);
            assert_eq!(came.again, came.seq <= 32, "{came:?}");
            got.push(came.seq);
            client.send(&ack(0x40, came.id)).await;
        }
        assert_eq!(got, expected);
        assert_eq!(seqs(&all(&mut client).await), NONE);
        let last = log.acknowledged().last().copied();
        assert_eq!(last, (up_to < NEWEST).then_some(NEWEST));
        // The inbox goes on.
        broker.notify("alice", &alice(), &notification(NEWEST + 1));
        next_is(&mut client, r#"{"seq":101}"#).await;
    }
}

/// Too large for the client, so that it cannot acknowledge it.
#[tokio::test]
async fn what_is_too_large_is_skipped() {
    let (broker, log) = start().await;
    let small = [number(0x27, &[0, 0, 0, 50])];
    let mut client = open(&broker, &phone(V5, false, &small)).await;
    client.send(&subscribe(V5, 1, &[], &[(INBOX, 1)])).await;
    assert_eq!(next(&mut client).await, Suback(1, vec![1]));
    assert_eq!(seqs(&all(&mut client).await), NONE);
    leave(&broker, client).await;
    skip(&broker, NEWEST - 1);
    let mut client = open(&broker, &phone(V5, false, &[])).await;
    let got = all(&mut client).await;
    assert_eq!(seqs(&got), [NEWEST]);
    client.send(&ack(0x40, got[0].id)).await;
    assert_eq!(seqs(&all(&mut client).await), NONE);
    assert_eq!(log.acknowledged(), [NEWEST]);
}

/// It is asked for of one session, and for nothing that has its name later.
#[tokio::test]
async fn no_other_session_skips_anything() {
    let (broker, _) = start().await;
    let bob = Username::parse("bob").unwrap();
    let mut tv = open(&broker, &connect("tv", true, 0)).await;
    follow(&mut tv, V5, 1).await;
    assert_eq!(all(&mut tv).await.len(), 32);
    for (key, name, client_id) in [
        ("bob", &bob, "tv"),
        ("bob", &alice(), "tv"),
        ("alice", &bob, "tv"),
        ("alice", &alice(), "TV"),
        ("alice", &alice(), "phone"),
    ] {
        assert!(
            !broker.skip(key, name, client_id, NEWEST),
            "{key} {client_id}"
        );
    }
    let client = open(&broker, &phone(V5, false, &[])).await;
    drop(tv);
    let mut tv = open(&broker, &connect("tv", true, 60)).await;
    follow(&mut tv, V5, 1).await;
    assert_eq!(seqs(&all(&mut tv).await)[0], 1);
    drop((client, tv));
    crate::setup::until(|| broker.connected() == 0).await;
    skip(&broker, NEWEST);
    let mut client = open(&broker, &phone(V5, true, &[])).await;
    follow(&mut client, V5, 1).await;
    assert_eq!(seqs(&all(&mut client).await)[0], 1);
}
