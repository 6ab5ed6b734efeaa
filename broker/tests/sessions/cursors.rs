//! Whose cursor a session goes by: the user's, or that of its client id.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::Actions;
use herald_broker::{
    Batch, Broker, HostError, Identity, Inbox, Limits, Notification, Position, Revoked,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::{
    client::{
        Answer::{self, Disconnect, Pingresp, Suback},
        Client,
    },
    common::{
        encode::{Connect, V3, V5, ack, number, packet, pingreq, props, subscribe},
        hosts::{self, NEWEST},
    },
    held::Held,
    setup::{alice, all_had_a_turn, ask, connect, next, open, published, until},
    user::user,
};

/// Alice's inbox.
const INBOX: &str = "users/alice/notifications";

/// What a session asked of the inbox: whose cursor, and the number.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Position(Option<Arc<str>>),
    Set(Arc<str>, i64),
    Acknowledged(Option<Arc<str>>, i64),
}
use Asked::{Acknowledged, Position as Where, Set};

/// An inbox whose cursors all are where they are set, or where they begin.
struct Cursors {
    /// Where that is: at 0 at first.
    begins: Mutex<i64>,
    asked: Mutex<Vec<Asked>>,
    /// One for each position that may be answered; closed: they cannot be.
    may_answer: Arc<Semaphore>,
}

impl Cursors {
    fn new(answers: usize) -> Arc<Self> {
        Arc::new(Self {
            begins: Mutex::new(0),
            asked: Mutex::default(),
            may_answer: Arc::new(Semaphore::new(answers)),
        })
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock())
    }

    fn answer(
        &self,
        asked: Asked,
        acknowledged: i64,
    ) -> BoxFuture<'static, Result<Position, HostError>> {
        self.asked.lock().push(asked);
        let may_answer = self.may_answer.clone();
        async move {
            let permit = may_answer.acquire().await;
            permit.map_err(|e| HostError(e.to_string()))?.forget();
            Ok(Position {
                acknowledged,
                newest: NEWEST,
            })
        }
        .boxed()
    }
}

impl Inbox for Cursors {
    fn position(
        &self,
        _: &Identity,
        client_id: Option<&Arc<str>>,
    ) -> BoxFuture<'static, Result<Position, HostError>> {
        let begins = *self.begins.lock();
        self.answer(Where(client_id.cloned()), begins)
    }

    fn set_position(
        &self,
        _: &Identity,
        client_id: &Arc<str>,
        to: i64,
    ) -> BoxFuture<'static, Result<Position, HostError>> {
        self.answer(Set(client_id.clone(), to), to)
    }

    fn read(
        &self,
        _: &Identity,
        after: i64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Batch, HostError>> {
        let left = (after + 1)..=NEWEST;
        let notifications: Vec<Notification> = left.take(limit).map(hosts::notification).collect();
        let batch = Batch {
            more: notifications.last().is_some_and(|n| n.seq < NEWEST),
            notifications,
        };
        async { Ok(batch) }.boxed()
    }

    fn epoch(&self) -> Arc<str> {
        "e1".into()
    }

    fn acknowledge(&self, _: &Identity, client_id: Option<&Arc<str>>, up_to: i64) {
        let asked = Acknowledged(client_id.cloned(), up_to);
        self.asked.lock().push(asked);
    }
}

async fn start(inbox: Arc<Cursors>) -> Broker {
    let limits = Limits {
        max_session_expiry_s: 60,
        ..Limits::default()
    };
    hosts::broker_with(limits, Actions::Both, Arc::new(Held::new()), inbox).await
}

/// Subscribes to the inbox, in MQTT 5 behind a number if one is given.
async fn follow(client: &mut Client, version: u8, after: Option<&str>) {
    let properties: Vec<_> = after.map(|n| user("after", n)).into_iter().collect();
    let subscribe = subscribe(version, 1, &properties, &[(INBOX, 1)]);
    assert_eq!(ask(client, &subscribe).await, Suback(1, vec![1]));
}

/// Acknowledges the next message.
async fn take(client: &mut Client) {
    let next = next(client).await;
    let packet = published(&next).expect("a message comes");
    // After the type, the length and the topic; no packet here is longer than 127 bytes.
    let at = 2 + 2 + INBOX.len();
    let id = u16::from_be_bytes([packet[at], packet[at + 1]]);
    client.send(&ack(0x40, id)).await;
}

/// The session has done all that it was asked to.
async fn settled(client: &mut Client) {
    client.send(&pingreq()).await;
    while next(client).await != Pingresp {}
}

#[tokio::test]
async fn a_session_that_is_kept_goes_by_its_client_ids_cursor_and_any_other_by_the_users() {
    let cases = [
        (V3, false, 0, true),
        (V3, true, 0, false),
        (V5, true, 30, true),
        (V5, false, 30, true),
        (V5, false, 0, false),
        (V5, true, 0, false),
    ];
    for (version, clean, expiry, kept) in cases {
        let cursors = Cursors::new(1);
        let broker = start(cursors.clone()).await;
        let connect = Connect {
            version,
            ..connect("phone", clean, expiry)
        };
        let mut phone = open(&broker, &connect).await;
        follow(&mut phone, version, None).await;
        take(&mut phone).await;
        settled(&mut phone).await;
        let of = kept.then(|| Arc::from("phone"));
        let expected = [Where(of.clone()), Acknowledged(of, 1)];
        assert_eq!(cursors.asked(), expected, "{version} {clean} {expiry}");
    }
}

#[tokio::test]
async fn a_place_that_the_client_names_is_set_where_it_has_a_cursor() {
    let cursors = Cursors::new(5);
    let broker = start(cursors.clone()).await;
    let (id, of) = (Arc::from("phone"), Some(Arc::from("phone")));
    let mut phone = open(&broker, &connect("phone", true, 30)).await;
    for (after, seq) in [("4", 4), ("2", 2)] {
        follow(&mut phone, V5, Some(after)).await;
        take(&mut phone).await;
        settled(&mut phone).await;
        let expected = [Set(Arc::clone(&id), seq), Acknowledged(of.clone(), seq + 1)];
        assert_eq!(cursors.asked(), expected);
    }
    let mut tv = open(&broker, &connect("tv", true, 0)).await;
    follow(&mut tv, V5, Some("4")).await;
    take(&mut tv).await;
    settled(&mut tv).await;
    assert_eq!(cursors.asked(), [Where(None), Acknowledged(None, 5)]);
}

#[tokio::test]
async fn a_place_that_is_named_with_another_subscription_is_not_the_inboxs() {
    let cursors = Cursors::new(5);
    let broker = start(cursors.clone()).await;
    let mut phone = open(&broker, &connect("phone", true, 30)).await;
    for (with_inbox, after) in [(false, "4"), (false, "no number"), (true, "4")] {
        let notice = subscribe(V5, 1, &[user("after", after)], &[("notice", 1)]);
        assert_eq!(ask(&mut phone, &notice).await, Suback(1, vec![1]));
        assert_eq!(cursors.asked(), []);
        if with_inbox {
            follow(&mut phone, V5, None).await;
            take(&mut phone).await;
            settled(&mut phone).await;
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
    let cursors = Cursors::new(4);
    let broker = start(cursors.clone()).await;
    let of = Some(Arc::from("phone"));
    let mut phone = open(&broker, &connect("phone", true, 30)).await;
    follow(&mut phone, V5, None).await;
    drop(phone);
    until(|| broker.connected() == 0 && broker.sessions() == 1).await;

    let mut phone = open(&broker, &connect("phone", false, 0)).await;
    take(&mut phone).await;
    settled(&mut phone).await;
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
    let of = Some(Arc::from("phone"));
    assert_eq!(cursors.asked(), [Where(of.clone()), Acknowledged(of, 1)]);
}

/// What nobody uses for long is deleted.
#[tokio::test]
async fn a_session_that_has_nothing_to_acknowledge_uses_its_cursor() {
    let cursors = Cursors::new(9);
    let broker = start(cursors.clone()).await;
    let silent = |client_id, expiry| Connect {
        keep_alive: 0,
        ..connect(client_id, false, expiry)
    };
    let of = Some(Arc::from("phone"));
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
    let cursors = Cursors::new(9);
    let broker = start(cursors.clone()).await;
    let (id, of) = (Arc::from("phone"), Some(Arc::from("phone")));
    let mut phone = open(&broker, &connect("phone", false, 30)).await;
    follow(&mut phone, V5, None).await;
    take(&mut phone).await;
    settled(&mut phone).await;
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
    let cursors = Cursors::new(9);
    let broker = start(cursors.clone()).await;
    let mut old = open(&broker, &connect("phone", false, 0)).await;
    follow(&mut old, V5, None).await;
    let mut new = open(&broker, &connect("phone", false, 30)).await;
    follow(&mut new, V5, None).await;
    take(&mut new).await;
    settled(&mut new).await;
    let of = Some(Arc::from("phone"));
    let expected = [Where(None), Where(of.clone()), Acknowledged(of, 1)];
    assert_eq!(cursors.asked(), expected);
}

#[tokio::test]
async fn a_subscription_is_acknowledged_only_once_it_has_its_place() {
    let cursors = Cursors::new(0);
    let broker = start(cursors.clone()).await;
    let mut phone = open(&broker, &connect("phone", true, 30)).await;
    phone.send(&subscribe(V5, 1, &[], &[(INBOX, 1)])).await;
    until(|| !cursors.asked().is_empty()).await;
    all_had_a_turn(&broker).await;
    // It gets none.
    cursors.may_answer.close();
    assert_eq!(phone.until_closed().await, Ok(vec![Disconnect(0x80)]));
}

/// Where its place is a write, that may take as long as it likes.
#[tokio::test]
async fn a_client_whose_subscription_waits_for_its_place_is_let_in_at_once_when_it_comes_back() {
    let cursors = Cursors::new(0);
    let broker = start(cursors.clone()).await;
    let of = Some(Arc::from("phone"));
    let mut first = open(&broker, &connect("phone", true, 30)).await;
    first.send(&subscribe(V5, 1, &[], &[(INBOX, 1)])).await;
    until(|| !cursors.asked().is_empty()).await;
    let mut second = open(&broker, &connect("phone", false, 30)).await;
    assert_eq!(first.until_closed().await, Ok(vec![Disconnect(0x8E)]));

    // It was not subscribed, and subscribes again.
    cursors.may_answer.add_permits(1);
    settled(&mut second).await;
    assert_eq!(cursors.asked(), []);
    follow(&mut second, V5, None).await;
    take(&mut second).await;
    settled(&mut second).await;
    assert_eq!(cursors.asked(), [Where(of.clone()), Acknowledged(of, 1)]);
}

#[tokio::test]
async fn a_session_that_waits_for_its_place_ends_with_its_rights() {
    let cursors = Cursors::new(0);
    let broker = start(cursors.clone()).await;
    let mut phone = open(&broker, &connect("phone", true, 30)).await;
    phone.send(&subscribe(V5, 1, &[], &[(INBOX, 1)])).await;
    until(|| !cursors.asked().is_empty()).await;
    broker.revoke(&alice(), &Revoked::User);
    assert_eq!(phone.until_closed().await, Ok(vec![Disconnect(0x87)]));
    assert_eq!(broker.sessions(), 0);
}

#[tokio::test]
async fn a_session_that_goes_on_does_not_wait_for_the_use_of_its_cursor() {
    let cursors = Cursors::new(1);
    let broker = start(cursors.clone()).await;
    let (id, of) = (Arc::from("phone"), Some(Arc::from("phone")));
    let mut phone = open(&broker, &connect("phone", true, 30)).await;
    follow(&mut phone, V5, None).await;
    take(&mut phone).await;
    settled(&mut phone).await;
    let expected = [Where(of.clone()), Acknowledged(of.clone(), 1)];
    assert_eq!(cursors.asked(), expected);
    drop(phone);
    until(|| broker.connected() == 0).await;

    *cursors.begins.lock() = 4;
    let mut phone = open(&broker, &connect("phone", false, 30)).await;
    take(&mut phone).await;
    settled(&mut phone).await;
    let expected = [Where(of.clone()), Acknowledged(of.clone(), 2)];
    assert_eq!(cursors.asked(), expected);
    // It was forgotten: it is set to where the session is.
    cursors.may_answer.add_permits(1);
    until(|| cursors.asked() == [Set(Arc::clone(&id), 2)]).await;
    // The third has been read; it came under the same number.
    phone.send(&ack(0x40, 3)).await;
    settled(&mut phone).await;
    assert_eq!(cursors.asked(), [Acknowledged(of.clone(), 3)]);
    // That may have been written before the cursor was set back.
    cursors.may_answer.add_permits(1);
    until(|| cursors.asked() == [Acknowledged(of.clone(), 3)]).await;
}
