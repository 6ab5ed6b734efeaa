//! A user: what was sent and answered, what was heard, and what of that must not be.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
};

use herald_tests::raw::{Connect, Property, Publish};
use rand::Rng;
use serde_json::Value;

/// What is known of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was sent, and no answer has come (yet).
    Unknown,
    /// It was answered with 202 or PUBACK; over HTTP with this id.
    Accepted(Option<String>),
}

/// One of those who send and listen.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) token: String,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// By body, which is of one message alone.
    sent: HashMap<String, Fate>,
    /// How many of them were answered.
    accepted: usize,
    /// Payloads by number.
    heard: BTreeMap<i64, String>,
    repeats: u64,
    /// The highest number that any client of the user may have acknowledged.
    acknowledged: i64,
}

impl User {
    pub(crate) fn new(name: String, token: String) -> Self {
        Self {
            name,
            token,
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("a client of this user has failed")
    }

    /// A CONNECT of this user.
    pub(crate) fn connect(&self, client_id: &str, kept: bool) -> Connect {
        let connect = Connect::of(&self.name)
            .client_id(client_id)
            .password(&self.token);
        if kept {
            let kept = connect.with(Property::SessionExpiry(3600));
            Connect {
                clean: false,
                ..kept
            }
        } else {
            connect
        }
    }

    /// The body of a new message, which says whose it is.
    pub(crate) fn new_body(&self, chance: &mut impl Rng) -> String {
        let mut seen = self.seen();
        let (number, nonce) = (seen.sent.len(), chance.random::<u64>());
        let body = format!("{} {number} {nonce:016x}", self.name);
        seen.sent.insert(body.clone(), Fate::Unknown);
        body
    }

    /// A message was answered with 202 or PUBACK. One message has one id, however often it is sent.
    pub(crate) fn accepted(&self, body: &str, id: Option<String>) {
        let seen = &mut *self.seen();
        let fate = seen.sent.get_mut(body).expect("it was sent");
        seen.accepted += usize::from(*fate == Fate::Unknown);
        match (&fate, &id) {
            (Fate::Accepted(Some(before)), Some(now)) => assert_eq!(before, now, "{body}"),
            (Fate::Accepted(Some(_)), None) => {}
            _ => *fate = Fate::Accepted(id),
        }
    }

    /// A notification has come: returns its number. Panics if it is of another user, or another than before.
    pub(crate) fn heard(&self, publish: &Publish) -> i64 {
        let name = &self.name;
        let payload = &publish.payload;
        assert_eq!(publish.topic, format!("users/{name}/notifications"));
        let notification: Value = serde_json::from_str(payload).unwrap();
        let seq = notification["seq"].as_i64().unwrap();
        let body = notification["message"]["body"].as_str().unwrap();
        let mut seen = self.seen();
        assert!(seen.sent.contains_key(body), "{name} has heard {payload}");
        match seen.heard.insert(seq, payload.clone()) {
            Some(before) => {
                assert_eq!(&before, payload, "number {seq} of {name}");
                seen.repeats += 1;
            }
            None => assert_eq!(notification["message"]["status"], "processed"),
        }
        seq
    }

    /// A client is about to acknowledge this number.
    pub(crate) fn acknowledging(&self, seq: i64) {
        let mut seen = self.seen();
        seen.acknowledged = seen.acknowledged.max(seq);
    }

    pub(crate) fn acknowledged(&self) -> i64 {
        self.seen().acknowledged
    }

    /// What was heard, by number, and how often again.
    pub(crate) fn all_heard(&self) -> (BTreeMap<i64, String>, u64) {
        let seen = self.seen();
        (seen.heard.clone(), seen.repeats)
    }

    /// How many messages were answered and not heard of yet.
    pub(crate) fn count_waiting(&self) -> usize {
        let seen = self.seen();
        seen.accepted.saturating_sub(seen.heard.len())
    }

    /// How many notifications were heard, without repeats.
    pub(crate) fn count_heard(&self) -> usize {
        self.seen().heard.len()
    }

    /// What was sent, by body.
    pub(crate) fn all_sent(&self) -> HashMap<String, Fate> {
        self.seen().sent.clone()
    }
}
