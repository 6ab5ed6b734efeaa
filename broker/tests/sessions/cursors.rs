//! Whose cursor a session goes by: the user's, or that of its client id.

use std::{sync::Arc, time::Duration};

use rstest::rstest;

use crate::{
    client::{
        Answer::{self, Disconnect, Suback},
        Client,
    },
    common::encode::{Connect, V3, V5, number, packet, props, subscribe},
    cursor_host::{Acknowledged, INBOX, Set, Where, follow, of_phone, settled, start, take},
    setup::{ask, connect, next, open, published, until},
    user::user,
};

#[rstest]
#[case(V3, false, 0, true)]
#[case(V3, true, 0, false)]
#[case(V5, true, 30, true)]
#[case(V5, false, 30, true)]
#[case(V5, false, 0, false)]
#[case(V5, true, 0, false)]
#[tokio::test]
async fn a_session_that_is_kept_goes_by_its_client_ids_cursor_and_any_other_by_the_users(
    #[case] version: u8,
    #[case] clean: bool,
    #[case] expiry: u32,
    #[case] kept: bool,
) {
    let (broker, cursors) = start(1).await;
    let connect = Connect {
        version,
        ..connect("phone", clean, expiry)
    };
    let mut phone = open(&broker, &connect).await;
    follow(&mut phone, version, None).await;
    take(&mut phone).await;
    let of = of_phone().filter(|_| kept);
    let expected = [Where(of.clone()), Acknowledged(of, 1)];
    assert_eq!(cursors.asked(), expected, "{version} {clean} {expiry}");
}

#[tokio::test]
async fn a_place_that_the_client_names_is_set_where_it_has_a_cursor() {
    let (broker, cursors) = start(5).await;
    let (id, of) = (Arc::from("phone"), of_phone());
    let mut phone = open(&broker, &connect("phone", true, 30)).await;
    for (after, seq) in [("4", 4), ("2", 2)] {
        follow(&mut phone, V5, Some(after)).await;
        take(&mut phone).await;
        let expected = [Set(Arc::clone(&id), seq), Acknowledged(of.clone(), seq + 1)];
        assert_eq!(cursors.asked(), expected);
    }
    let mut tv = open(&broker, &connect("tv", true, 0)).await;
    follow(&mut tv, V5, Some("4")).await;
    take(&mut tv).await;
    assert_eq!(cursors.asked(), [Where(None), Acknowledged(None, 5)]);
}

#[tokio::test]
async fn a_place_that_is_named_with_another_subscription_is_not_the_inboxs() {
    let (broker, cursors) = start(5).await;
    let mut phone = open(&broker, &connect("phone", true, 30)).await;
    for (with_inbox, after) in [(false, "4"), (false, "no number"), (true, "4")] {
        let notice = subscribe(V5, 1, &[user("after", after)], &[("notice", 1)]);
        assert_eq!(ask(&mut phone, &notice).await, Suback(1, vec![1]));
        assert_eq!(cursors.asked(), []);
        if with_inbox {
            follow(&mut phone, V5, None).await;
            take(&mut phone).await;
            assert_eq!(cursors.asked().len(), 2);
            // Not even with one that is there already.
            let last = subscribe(V5, 1, &[user("after", after)], &[("last", 1)]);
            assert_eq!(ask_for(&mut phone, &last).await, Suback(1, vec![1]));
            assert_eq!(cursors.asked(), []);
        }
    }
    let both = [(INBOX, 1), ("last", 1)];
    let wrong = subscribe(V5, 1, &[user("after", "no number")], &both);
    phone.send(&wrong).await;
    let answers = phone.until_closed().await.expect("the session ends");
    assert_eq!(answers.last(), Some(&Disconnect(0x82)));
}

/// The answer, behind what comes of the inbox.
async fn ask_for(client: &mut Client, packet: &[u8]) -> Answer {
    client.send(packet).await;
    loop {
        let next = next(client).await;
        if published(&next).is_none() {
            return next;
        }
    }
}

/// A session's end does not lose what was acknowledged before.
#[tokio::test]
async fn a_session_that_goes_on_for_the_last_time_keeps_its_cursor_to_its_end() {
    let (broker, cursors) = start(4).await;
    let of = of_phone();
    let mut phone = open(&broker, &connect("phone", true, 30)).await;
    follow(&mut phone, V5, None).await;
    drop(phone);
    until(|| broker.connected() == 0 && broker.sessions() == 1).await;

    let mut phone = open(&broker, &connect("phone", false, 0)).await;
    take(&mut phone).await;
    let used = Where(of.clone());
    let expected = [Where(of.clone()), used, Acknowledged(of, 1)];
    assert_eq!(cursors.asked(), expected);
    drop(phone);
    until(|| broker.sessions() == 0).await;

    let mut phone = open(&broker, &connect("phone", false, 0)).await;
    follow(&mut phone, V5, None).await;
    assert_eq!(cursors.asked(), [Where(None)]);
    drop(phone);
    until(|| broker.sessions() == 0).await;

    // DISCONNECT may end the session, and changes nothing of the cursor.
    let mut phone = open(&broker, &connect("phone", false, 30)).await;
    follow(&mut phone, V5, None).await;
    take(&mut phone).await;
    let ending = props(&[number(0x11, &[0; 4])]);
    phone.send(&packet(0xE0, &[&[0], &ending])).await;
    until(|| broker.sessions() == 0).await;
    let of = of_phone();
    assert_eq!(cursors.asked(), [Where(of.clone()), Acknowledged(of, 1)]);
}

/// What nobody uses for long is deleted.
#[tokio::test]
async fn a_session_that_has_nothing_to_acknowledge_uses_its_cursor() {
    let (broker, cursors) = start(9).await;
    let silent = |client_id, expiry| Connect {
        keep_alive: 0,
        ..connect(client_id, false, expiry)
    };
    let of = of_phone();
    let mut phone = open(&broker, &silent("phone", 30)).await;
    let mut tv = open(&broker, &silent("tv", 0)).await;
    follow(&mut phone, V5, None).await;
    follow(&mut tv, V5, None).await;
    assert_eq!(cursors.asked(), [Where(of.clone()), Where(None)]);
    for _ in 0..2 {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(24 * 60 * 60)).await;
        tokio::time::resume();
        settled(&mut phone).await;
        settled(&mut tv).await;
        let asked = cursors.asked();
        assert_eq!(asked, [Where(of.clone())]);
    }
    // And when its client comes back.
    drop(phone);
    until(|| broker.connected() == 1 && broker.sessions() == 2).await;
    let mut phone = open(&broker, &silent("phone", 30)).await;
    settled(&mut phone).await;
    assert_eq!(cursors.asked(), [Where(of)]);
}

#[tokio::test]
async fn a_session_whose_cursor_was_forgotten_brings_it_back_to_where_it_is() {
    let (broker, cursors) = start(9).await;
    let (id, of) = (Arc::from("phone"), of_phone());
    let mut phone = open(&broker, &connect("phone", false, 30)).await;
    follow(&mut phone, V5, None).await;
    take(&mut phone).await;
    let expected = [Where(of.clone()), Acknowledged(of.clone(), 1)];
    assert_eq!(cursors.asked(), expected);
    drop(phone);
    until(|| broker.connected() == 0).await;
    // It is made anew where another client has come to.
    *cursors.begins.lock() = 4;
    let mut phone = open(&broker, &connect("phone", false, 30)).await;
    settled(&mut phone).await;
    assert_eq!(cursors.asked(), [Where(of), Set(id, 1)]);
}

/// Such a session ends with its connection: the next one begins with a cursor.
#[tokio::test]
async fn a_session_without_a_cursor_is_not_gone_on_with() {
    let (broker, cursors) = start(9).await;
    let mut old = open(&broker, &connect("phone", false, 0)).await;
    follow(&mut old, V5, None).await;
    let mut new = open(&broker, &connect("phone", false, 30)).await;
    follow(&mut new, V5, None).await;
    take(&mut new).await;
    let of = of_phone();
    let expected = [Where(None), Where(of.clone()), Acknowledged(of, 1)];
    assert_eq!(cursors.asked(), expected);
}
