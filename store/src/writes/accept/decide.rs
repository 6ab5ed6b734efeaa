//! Which messages are accepted.

use std::collections::{HashMap, hash_map::Entry};
use std::time::Duration;

use herald_acl::Username;
use rand::Rng;

use crate::writes::stored_bytes;
use crate::writes::user_queues::UserQueueChanges;
use crate::{Delay, Message, MessageId, Status, Timestamp, UserId};

/// What came of [`Store::accept`](crate::Store::accept).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// The message was accepted and is durable.
    New(Message),
    /// The user sent this body with this idempotency key before; this is that message.
    Existing(Message),
    /// The user sent another body with this idempotency key before.
    KeyConflict,
    /// The user has as many messages that have not ended as [`StoreOptions::waiting_messages`](crate::StoreOptions)
    /// allows.
    TooManyWaiting,
    /// With it, more would be kept of the user than [`StoreOptions::stored_bytes`](crate::StoreOptions) allows.
    TooMuchStored,
}

/// A message that is to be accepted.
pub(super) struct Accept {
    /// The same however often it is run: what an earlier run wrote is found by it.
    pub(super) id: MessageId,
    pub(super) user: UserId,
    pub(super) body: String,
    pub(super) idempotency_key: Option<String>,
    pub(super) now: Timestamp,
    pub(super) max_open: i64,
    pub(super) max_stored: i64,
}

/// A user and an idempotency key.
pub(super) type Key = (UserId, String);

impl Accept {
    /// What distinguishes a repeat from another message.
    pub(super) fn key(&self) -> Option<Key> {
        let key = self.idempotency_key.clone()?;
        Some((self.user.clone(), key))
    }
}

/// What has to be known.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Those who send, if they exist.
    pub(super) senders: HashMap<UserId, Sender>,
    /// What was sent before with the same keys.
    pub(super) sent: HashMap<Key, Message>,
}

/// What has to be known of a user who sends.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) username: Username,
    pub(super) delay: Delay,
    /// How many messages have not ended.
    pub(super) open: i64,
    /// How many bytes are kept.
    pub(super) stored: i64,
}

/// What comes of it.
pub(super) struct Decision<'a> {
    /// The answer to each, in order.
    pub(super) outputs: Vec<Option<Accepted>>,
    /// What is to be written.
    pub(super) new: Vec<(&'a Accept, Message)>,
    pub(super) queues: UserQueueChanges,
}

/// Decides as if one were accepted after the other.
pub(super) fn decide<'a>(all: &[&'a Accept], mut facts: Facts, rng: &mut impl Rng) -> Decision<'a> {
    let mut decision = Decision {
        outputs: Vec::with_capacity(all.len()),
        new: Vec::with_capacity(all.len()),
        queues: UserQueueChanges::default(),
    };
    for accept in all {
        let output = decide_one(accept, &mut facts, rng);
        if let Some(Accepted::New(message)) = &output {
            let bytes = stored_bytes::of_message(&accept.body, accept.idempotency_key.as_deref());
            decision.queues.open(&accept.user, 1);
            decision.queues.stored(&accept.user, bytes);
            decision.queues.queued(&accept.user, message.run_at);
            decision.new.push((accept, message.clone()));
        }
        decision.outputs.push(output);
    }
    decision
}

fn decide_one(accept: &Accept, facts: &mut Facts, rng: &mut impl Rng) -> Option<Accepted> {
    let sender = facts.senders.get_mut(&accept.user)?;
    let vacant = match accept.key().map(|key| facts.sent.entry(key)) {
        Some(Entry::Occupied(earlier)) => return Some(repeat(accept, earlier.get())),
        Some(Entry::Vacant(vacant)) => Some(vacant),
        None => None,
    };
    if sender.open >= accept.max_open {
        return Some(Accepted::TooManyWaiting);
    }
    let bytes = stored_bytes::of_message(&accept.body, accept.idempotency_key.as_deref());
    if sender.stored + bytes > accept.max_stored {
        return Some(Accepted::TooMuchStored);
    }
    sender.open += 1;
    sender.stored += bytes;
    let message = new_message(accept, sender, rng);
    if let Some(vacant) = vacant {
        vacant.insert(message.clone());
    }
    Some(Accepted::New(message))
}

/// What comes of a repeat of `earlier`.
fn repeat(accept: &Accept, earlier: &Message) -> Accepted {
    if earlier.body == accept.body {
        Accepted::Existing(earlier.clone())
    } else {
        Accepted::KeyConflict
    }
}

fn new_message(accept: &Accept, sender: &Sender, rng: &mut impl Rng) -> Message {
    let delay = sender.delay.sample(rng);
    Message {
        id: accept.id.clone(),
        user_id: accept.user.clone(),
        username: sender.username.clone(),
        body: accept.body.clone(),
        status: Status::Queued,
        result: None,
        error: None,
        attempts: 0,
        created_at: accept.now,
        run_at: accept.now + Duration::from_millis(delay),
        processed_at: None,
        delivered_at: None,
    }
}
