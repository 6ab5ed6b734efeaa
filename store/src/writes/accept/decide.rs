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
    /// Whether it is a new message that waits.
    pub(super) waits: bool,
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
            answer.waits = answer.taken.is_none();
            let bytes = stored_bytes::of_message(&accept.body, accept.idempotency_key.as_deref());
            decision.queues.open(&accept.user, 1);
            decision.queues.stored(&accept.user, bytes);
            if answer.waits {
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
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

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
            at_once: None,
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
                turn: None,
            };
            (user(number), sender)
        });
        Facts {
            senders: senders.collect(),
            sent: HashMap::new(),
            paused: false,
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
                let known = Facts { senders: senders.collect(), sent: apart.sent.clone(), paused: false };
                let alone = decide(&[accept], known, &mut rand::rng());
                prop_assert_eq!(&alone.outputs[0].accepted, &together.accepted);
                if let Some(Accepted::New(message)) = &together.accepted {
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
            let new = together.outputs.iter().filter(|one| matches!(one.accepted, Some(Accepted::New(_))));
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
            let unknown = decision.outputs.iter().filter(|output| output.accepted.is_none()).count();
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
        let answers: Vec<_> = decision.outputs.iter().map(|one| &one.accepted).collect();
        let Some(Accepted::New(first)) = answers[0] else {
            panic!("{answers:?}");
        };
        assert_eq!(first.run_at, Timestamp::from_millis(10));
        assert_eq!(answers[1], &Some(Accepted::KeyConflict));
        assert_eq!(answers[2], &Some(Accepted::Existing(first.clone())));
        assert_eq!(decision.new.len(), 1);
    }

    /// Has room for so many messages, and notes which begin.
    struct Works(Arc<(AtomicUsize, Mutex<Vec<String>>)>);

    impl Works {
        fn new(rooms: usize) -> Self {
            Self(Arc::new((AtomicUsize::new(rooms), Mutex::default())))
        }
    }

    impl WorksAtOnce for Works {
        fn reserve(&self) -> Option<Box<dyn Room>> {
            let less = |rooms: usize| rooms.checked_sub(1);
            let taken = self.0.0.fetch_update(Relaxed, Relaxed, less);
            taken.is_ok().then(|| Box::new(Self(self.0.clone())) as _)
        }

        fn lease(&self) -> Duration {
            Duration::from_secs(30)
        }
    }

    impl Room for Works {
        fn begin(self: Box<Self>, job: Job) {
            self.0.1.lock().unwrap().push(job.id.as_str().to_owned());
        }
    }

    fn accept_at_once(number: usize, sender: usize, works: &Arc<Works>) -> Accept {
        let now = Timestamp::from_millis(7);
        let at_once = AtOnce {
            works: works.clone(),
            lease: Lease::new(None),
            term: LeaseTerm::new(works.lease(), now),
        };
        Accept {
            at_once: Some(at_once),
            ..accept(number, sender, 0, None)
        }
    }

    /// Which messages are claimed as they are accepted, of two users without a delay, and where there is so much room.
    fn taken(senders: &[usize], rooms: usize, change: impl Fn(&mut Facts)) -> Vec<usize> {
        let works = Arc::new(Works::new(rooms));
        let all = senders.iter().enumerate();
        let all: Vec<_> = all
            .map(|(number, sender)| accept_at_once(number, *sender, &works))
            .collect();
        let mut facts = facts(&[0, 0]);
        for sender in facts.senders.values_mut() {
            sender.delay = Delay::Fixed { ms: 0 };
        }
        change(&mut facts);
        let all: Vec<_> = all.iter().collect();
        let decision = decide(&all, facts, &mut rand::rng());
        for answer in &decision.outputs {
            assert_eq!(answer.waits, answer.taken.is_none());
        }
        let claimed = decision.taken.iter();
        claimed
            .map(|(accept, _)| accept.id.as_str().parse().unwrap())
            .collect()
    }

    #[test]
    fn what_is_due_is_claimed_if_there_is_room_and_nothing_of_the_user_waits_before_it() {
        let first = user(0);
        assert_eq!(taken(&[0, 1, 0], 9, |_| {}), [0, 1, 2]);
        assert_eq!(taken(&[0, 1, 0], 2, |_| {}), [0, 1]);
        assert_eq!(taken(&[0, 1, 0], 0, |_| {}), [0; 0]);
        let waits = |at| {
            let first = first.clone();
            move |facts: &mut Facts| {
                let sender = facts.senders.get_mut(&first).unwrap();
                sender.turn = Some(Timestamp::from_millis(at));
            }
        };
        assert_eq!(taken(&[0, 1, 0], 9, waits(7)), [1]);
        assert_eq!(taken(&[0, 1, 0], 9, waits(8)), [0, 1, 2]);
        assert_eq!(taken(&[0, 1], 9, |facts| facts.paused = true), [0; 0]);
        let delayed = |facts: &mut Facts| {
            let sender = facts.senders.get_mut(&first).unwrap();
            sender.delay = Delay::Fixed { ms: 1 };
        };
        assert_eq!(taken(&[0, 1, 0], 9, delayed), [1]);
    }
}
