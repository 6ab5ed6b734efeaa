//! Which messages are accepted.

use std::collections::{HashMap, hash_map::Entry};
use std::sync::Arc;
use std::time::Duration;

use herald_acl::Username;
use rand::Rng;

use crate::writes::lease::LeaseTerm;
use crate::writes::stored_bytes;
use crate::writes::user_queues::UserQueueChanges;
use crate::{Delay, Job, Lease, Message, MessageId, Room, Status, Timestamp, UserId, WorksAtOnce};

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
    pub(super) at_once: Option<AtOnce>,
    pub(super) max_open: i64,
    pub(super) max_stored: i64,
}

/// How it is claimed if it is due at once.
pub(super) struct AtOnce {
    pub(super) works: Arc<dyn WorksAtOnce>,
    pub(super) lease: Lease,
    pub(super) term: LeaseTerm,
}

/// What comes of it.
#[derive(Default)]
pub(crate) struct Answer {
    /// `None` if there is no such account.
    pub(super) accepted: Option<Accepted>,
    /// The message if it was claimed, and the room that there is for it.
    pub(super) taken: Option<(Box<dyn Room>, Job)>,
}

impl Answer {
    /// Whether it is a new message that waits.
    pub(super) fn waits(&self) -> bool {
        matches!(self.accepted, Some(Accepted::New(_))) && self.taken.is_none()
    }
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
    /// Whether no message is to be begun.
    pub(super) paused: bool,
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
    /// When the first message is due that waits, or earlier.
    pub(super) turn: Option<Timestamp>,
}

/// What comes of it.
pub(super) struct Decision<'a> {
    /// The answer to each, in order.
    pub(super) outputs: Vec<Answer>,
    /// What is to be written, to wait.
    pub(super) new: Vec<(&'a Accept, Message)>,
    /// What is to be written, and is claimed.
    pub(super) taken: Vec<(&'a Accept, Message)>,
    pub(super) queues: UserQueueChanges,
}

/// Decides as if one were accepted after the other.
pub(super) fn decide<'a>(all: &[&'a Accept], mut facts: Facts, rng: &mut impl Rng) -> Decision<'a> {
    let mut decision = Decision {
        outputs: Vec::with_capacity(all.len()),
        new: vec![],
        taken: vec![],
        queues: UserQueueChanges::default(),
    };
    for accept in all {
        let accepted = decide_one(accept, &mut facts, rng);
        let mut answer = Answer::default();
        if let Some(Accepted::New(message)) = &accepted {
            answer.taken = take(accept, message, &mut facts);
            let bytes = stored_bytes::of_message(&accept.body, accept.idempotency_key.as_deref());
            decision.queues.open(&accept.user, 1);
            decision.queues.stored(&accept.user, bytes);
            if answer.taken.is_none() {
                decision.queues.queued(&accept.user, message.run_at);
                decision.queues.moved(None, Some(Status::Queued), 1);
                decision.new.push((accept, message.clone()));
            } else {
                let processing = Some(Status::Processing);
                decision.queues.moved(None, processing, 1);
                decision.taken.push((accept, message.clone()));
            }
        }
        answer.accepted = accepted;
        decision.outputs.push(answer);
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

/// Claims a new message if it is due, nothing of the user's is to come before it, and there is room.
fn take(accept: &Accept, message: &Message, facts: &mut Facts) -> Option<(Box<dyn Room>, Job)> {
    let sender = facts.senders.get_mut(&accept.user)?;
    let waits_behind = |turn: Timestamp| turn <= message.run_at;
    let is_next = message.run_at <= accept.now && !sender.turn.is_some_and(waits_behind);
    let room = accept.at_once.as_ref().filter(|_| is_next && !facts.paused);
    let room = room.and_then(|at_once| Some((at_once.works.reserve()?, at_once)));
    let Some((room, at_once)) = room else {
        let turn = sender.turn.get_or_insert(message.run_at);
        *turn = message.run_at.min(*turn);
        return None;
    };
    let job = Job {
        id: message.id.clone(),
        user_id: message.user_id.clone(),
        username: message.username.clone(),
        body: message.body.clone(),
        attempt: 1,
        failures: 0,
        created_at: message.created_at,
        due: message.run_at,
        lease: at_once.lease.clone(),
    };
    Some((room, job))
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

#[cfg(test)]
mod tests;
