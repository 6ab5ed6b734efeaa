//! Which messages are accepted, and which of them claimed.

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

/// Has room for so many messages.
struct Works(AtomicUsize);

struct OneRoom;

impl WorksAtOnce for Works {
    fn reserve(&self) -> Option<Box<dyn Room>> {
        let less = |rooms: usize| rooms.checked_sub(1);
        let taken = self.0.fetch_update(Relaxed, Relaxed, less);
        taken.is_ok().then(|| Box::new(OneRoom) as _)
    }

    fn lease(&self) -> Duration {
        Duration::from_secs(30)
    }
}

impl Room for OneRoom {
    fn begin(self: Box<Self>, _job: Job) {}
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
    let works = Arc::new(Works(AtomicUsize::new(rooms)));
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
        assert_eq!(answer.waits(), answer.taken.is_none());
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
