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
            decision.queues.moved(None, Some(Status::Queued), 1);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX_OPEN: i64 = 5;

    fn user(number: usize) -> UserId {
        UserId::from_string(format!("user-{number}"))
    }

    fn accept(number: usize, sender: usize, body: usize, key: Option<usize>) -> Accept {
        Accept {
            id: MessageId::from_string(number.to_string()),
            user: user(sender),
            body: format!("body {body}"),
            idempotency_key: key.map(|key| key.to_string()),
            now: Timestamp::from_millis(7),
            max_open: MAX_OPEN,
            max_stored: 4 * stored_bytes::of_message("body 0", None),
        }
    }

    fn facts(open: &[i64]) -> Facts {
        let senders = open.iter().enumerate().map(|(number, open)| {
            let sender = Sender {
                username: format!("user{number}").parse().unwrap(),
                delay: Delay::Fixed { ms: 3 },
                open: *open,
                stored: 0,
            };
            (user(number), sender)
        });
        Facts {
            senders: senders.collect(),
            sent: HashMap::new(),
        }
    }

    proptest! {
        /// Sent together or one after the other, in transactions of their own: the answers are the same.
        #[test]
        fn a_batch_is_as_one_after_the_other(
            sends in prop::collection::vec((0..4_usize, 0..2_usize, prop::option::of(0..2_usize)), 0..24),
            open in prop::collection::vec(0..=MAX_OPEN, 3),
        ) {
            let sends = sends.into_iter().enumerate();
            let all: Vec<_> = sends.map(|(n, (sender, body, key))| accept(n, sender, body, key)).collect();
            let together = decide(&all.iter().collect::<Vec<_>>(), facts(&open), &mut rand::rng());

            let mut apart = facts(&open);
            let mut queues = UserQueueChanges::default();
            for (accept, together) in all.iter().zip(&together.outputs) {
                let senders = apart.senders.iter().map(|(id, sender)| {
                    let sender = Sender { username: sender.username.clone(), ..*sender };
                    (id.clone(), sender)
                });
                let known = Facts { senders: senders.collect(), sent: apart.sent.clone() };
                let alone = decide(&[accept], known, &mut rand::rng());
                prop_assert_eq!(&alone.outputs[0], together);
                if let Some(Accepted::New(message)) = together {
                    let bytes = stored_bytes::of_message(&accept.body, accept.idempotency_key.as_deref());
                    queues.open(&accept.user, 1);
                    queues.stored(&accept.user, bytes);
                    queues.queued(&accept.user, message.run_at);
                    queues.moved(None, Some(Status::Queued), 1);
                    let sender = apart.senders.get_mut(&accept.user).unwrap();
                    sender.open += 1;
                    sender.stored += bytes;
                    apart.sent.extend(accept.key().map(|key| (key, message.clone())));
                }
            }
            prop_assert_eq!(together.queues, queues);
            let new = together.outputs.iter().filter(|one| matches!(one, Some(Accepted::New(_))));
            prop_assert_eq!(new.count(), together.new.len());
        }

        /// However much is sent, nobody has more than is allowed, and those who do not exist have nothing.
        #[test]
        fn nobody_has_more_than_is_allowed(
            senders in prop::collection::vec(0..4_usize, 0..40),
            open in prop::collection::vec(0..=MAX_OPEN, 3),
        ) {
            let all: Vec<_> = senders.iter().enumerate().map(|(n, sender)| accept(n, *sender, 0, None)).collect();
            let decision = decide(&all.iter().collect::<Vec<_>>(), facts(&open), &mut rand::rng());
            for (number, open) in open.iter().enumerate() {
                let new = decision.new.iter().filter(|(accept, _)| accept.user == user(number)).count() as i64;
                let sent = senders.iter().filter(|sender| **sender == number).count() as i64;
                // Room in messages and in bytes, whichever is less.
                prop_assert_eq!(new, sent.min(MAX_OPEN - open).min(4));
            }
            let unknown = decision.outputs.iter().filter(|output| output.is_none()).count();
            prop_assert_eq!(unknown, senders.iter().filter(|sender| **sender == 3).count());
        }
    }

    #[test]
    fn another_body_with_the_same_key_is_a_conflict_and_the_same_body_is_the_first_message() {
        let all = [
            accept(0, 0, 0, Some(1)),
            accept(1, 0, 1, Some(1)),
            accept(2, 0, 0, Some(1)),
        ];
        let decision = decide(
            &all.iter().collect::<Vec<_>>(),
            facts(&[0]),
            &mut rand::rng(),
        );
        let Some(Accepted::New(first)) = &decision.outputs[0] else {
            panic!("{:?}", decision.outputs);
        };
        assert_eq!(first.run_at, Timestamp::from_millis(10));
        assert_eq!(decision.outputs[1], Some(Accepted::KeyConflict));
        assert_eq!(decision.outputs[2], Some(Accepted::Existing(first.clone())));
        assert_eq!(decision.new.len(), 1);
    }
}
