//! An inbox that shows whose cursors a session goes by.

use std::sync::Arc;

use futures_util::FutureExt as _;
use herald_acl::Actions;
use herald_broker::{Broker, HostError, Limits, Position};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::{
    client::{
        Answer::{Pingresp, Suback},
        Client,
    },
    common::{
        encode::{ack, pingreq, subscribe},
        hosts::{self, NEWEST},
        inbox::{Inboxes, Log, Returned},
    },
    held::Held,
    setup::{ask, next, published},
    user::user,
};

/// Alice's inbox.
pub(crate) const INBOX: &str = "users/alice/notifications";

/// What a session asked of the inbox: whose cursor, and the number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Position(Option<Arc<str>>),
    Set(Arc<str>, i64),
    Acknowledged(Option<Arc<str>>, i64),
}
pub(crate) use Asked::{Acknowledged, Position as Where, Set};

/// An inbox whose cursors all are where they are set, or where they begin.
pub(crate) struct Cursors {
    /// Where that is: at 0 at first.
    pub(crate) begins: Mutex<i64>,
    asked: Mutex<Vec<Asked>>,
    /// One for each position that may be answered; closed: they cannot be.
    pub(crate) may_answer: Arc<Semaphore>,
}

impl Cursors {
    /// What was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock())
    }

    fn answer(&self, asked: Asked, acknowledged: i64) -> Returned<Position> {
        self.asked.lock().push(asked);
        let (may_answer, newest) = (self.may_answer.clone(), self.newest());
        async move {
            let permit = may_answer.acquire().await;
            permit.map_err(|e| HostError(e.to_string()))?.forget();
            Ok(Position {
                acknowledged,
                newest,
            })
        }
        .boxed()
    }
}

impl Log for Cursors {
    fn newest(&self) -> i64 {
        NEWEST
    }

    fn position(&self, client_id: Option<&Arc<str>>) -> Returned<Position> {
        let begins = *self.begins.lock();
        self.answer(Where(client_id.cloned()), begins)
    }

    fn set_position(&self, client_id: &Arc<str>, to: i64) -> Returned<Position> {
        self.answer(Set(client_id.clone(), to), to)
    }

    fn acknowledge(&self, client_id: Option<&Arc<str>>, up_to: i64) {
        let asked = Acknowledged(client_id.cloned(), up_to);
        self.asked.lock().push(asked);
    }
}

/// A broker with such an inbox, in which so many positions may be answered.
pub(crate) async fn start(answers: usize) -> (Broker, Arc<Cursors>) {
    let cursors = Arc::new(Cursors {
        begins: Mutex::new(0),
        asked: Mutex::default(),
        may_answer: Arc::new(Semaphore::new(answers)),
    });
    let limits = Limits {
        max_session_expiry_s: 60,
        ..Limits::default()
    };
    let inbox = Arc::new(Inboxes(cursors.clone()));
    let broker = hosts::broker_with(limits, Actions::Both, Arc::new(Held::new()), inbox);
    (broker.await, cursors)
}

/// The client id of the sessions that have a cursor, as the inbox is asked for it.
pub(crate) fn of_phone() -> Option<Arc<str>> {
    Some("phone".into())
}

/// Subscribes to the inbox, in MQTT 5 behind a number if one is given.
pub(crate) async fn follow(client: &mut Client, version: u8, after: Option<&str>) {
    let properties: Vec<_> = after.map(|n| user("after", n)).into_iter().collect();
    let subscribe = subscribe(version, 1, &properties, &[(INBOX, 1)]);
    assert_eq!(ask(client, &subscribe).await, Suback(1, vec![1]));
}

/// Acknowledges the next message; the session has done so, and all else that it was asked to.
pub(crate) async fn take(client: &mut Client) {
    let next = next(client).await;
    let packet = published(&next).expect("a message comes");
    // After the type, the length and the topic; no packet here is longer than 127 bytes.
    let at = 2 + 2 + INBOX.len();
    let id = u16::from_be_bytes([packet[at], packet[at + 1]]);
    client.send(&ack(0x40, id)).await;
    settled(client).await;
}

/// The session has done all that it was asked to.
pub(crate) async fn settled(client: &mut Client) {
    client.send(&pingreq()).await;
    while next(client).await != Pingresp {}
}
