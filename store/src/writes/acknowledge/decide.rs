//! How far each user and each client id goes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::writes::cursors::rows::{Cursor, CursorKey};
use crate::{Position, Seq, Timestamp, UserId};

/// How many numbers one write goes over, which is about how many messages it marks. More take several writes, so that others
/// have their turn between.
pub(super) const STEP: i64 = 1000;

/// Everything up to a number, acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Whose inbox it is.
    pub user: UserId,
    /// Which client it was, if the inbox is to remember where it stopped.
    pub client_id: Option<Arc<str>>,
    /// The number. One above the newest counts as the newest; 0 and less acknowledge nothing.
    pub up_to: Seq,
}

/// Each user and each client id once, with the highest number.
pub(super) struct Acknowledge {
    pub(super) users: Vec<(UserId, Seq)>,
    pub(super) clients: Vec<Client>,
    pub(super) now: Timestamp,
}

pub(super) struct Client {
    pub(super) user: UserId,
    pub(super) id: Arc<str>,
    pub(super) up_to: Seq,
}

impl Acknowledge {
    pub(super) fn new(acknowledged: &[Acknowledged], now: Timestamp) -> Self {
        let (mut users, mut clients) = (BTreeMap::new(), BTreeMap::new());
        for one in acknowledged.iter().filter(|one| one.up_to > Seq::NONE) {
            let highest = users.entry(&one.user).or_insert(one.up_to);
            *highest = one.up_to.max(*highest);
            if let Some(id) = &one.client_id {
                let highest = clients.entry((&one.user, id)).or_insert(one.up_to);
                *highest = one.up_to.max(*highest);
            }
        }
        let owned = |((user, id), up_to): ((&UserId, &Arc<str>), Seq)| Client {
            user: user.clone(),
            id: id.clone(),
            up_to,
        };
        Self {
            users: users.into_iter().map(|(u, seq)| (u.clone(), seq)).collect(),
            clients: clients.into_iter().map(owned).collect(),
            now,
        }
    }
}

/// What has to be known.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Where each user is, if there is one.
    pub(super) inboxes: HashMap<UserId, Position>,
    /// Where each client id is, if it has a cursor.
    pub(super) cursors: HashMap<CursorKey, Seq>,
}

/// A user goes from one number to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) user: UserId,
    pub(super) from: Seq,
    pub(super) to: Seq,
}

/// What comes of it.
#[derive(Debug, Default)]
pub(super) struct Decision {
    pub(super) moves: Vec<Move>,
    /// Those who are not there yet, each with where to go.
    pub(super) left: Vec<(UserId, Seq)>,
    /// Cursors that move.
    pub(super) cursors: Vec<Cursor>,
    /// Cursors that are not there.
    pub(super) missing: Vec<Cursor>,
}

/// Nobody goes back, nor beyond the newest number; all users together go over no more than [`STEP`] numbers.
pub(super) fn decide(acknowledge: &Acknowledge, facts: &Facts) -> Decision {
    let mut decision = Decision::default();
    let users = &acknowledge.users;
    let each = (STEP / (users.len() as i64).max(1)).max(1);
    let mut room = STEP;
    for (user, up_to) in users {
        let Some(inbox) = facts.inboxes.get(user) else {
            continue;
        };
        let goal = (*up_to).min(inbox.last);
        let step = (goal.0 - inbox.acked.0).min(each).min(room);
        if step > 0 {
            room -= step;
            let (user, from, to) = (user.clone(), inbox.acked, Seq(inbox.acked.0 + step));
            decision.moves.push(Move { user, from, to });
        }
        if inbox.acked.0 + step < goal.0 {
            decision.left.push((user.clone(), goal));
        }
    }
    for client in &acknowledge.clients {
        let Some(inbox) = facts.inboxes.get(&client.user) else {
            continue;
        };
        let key = (client.user.clone(), client.id.clone());
        let there = facts.cursors.get(&key);
        let cursor = Cursor {
            user: client.user.clone(),
            client_id: client.id.clone(),
            seq: client
                .up_to
                .min(inbox.last)
                .max(there.copied().unwrap_or(Seq::NONE)),
            used: acknowledge.now,
        };
        match there {
            Some(_) => decision.cursors.push(cursor),
            None => decision.missing.push(cursor),
        }
    }
    decision
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn user(number: usize) -> UserId {
        UserId::from_string(format!("user-{number:04}"))
    }

    proptest! {
        /// Whatever is acknowledged: in a few writes all are where they asked to be, nobody goes back or beyond the newest,
        /// and no write goes over many numbers.
        #[test]
        fn all_arrive_in_steps(
            inboxes in prop::collection::vec((0..3000_i64, 0..3000_i64), 1..40),
            asked in prop::collection::vec(-5..7000_i64, 41),
        ) {
            let mut facts = Facts::default();
            for (number, (acked, more)) in inboxes.iter().enumerate() {
                let (acked, last) = (Seq(*acked), Seq(acked + more));
                facts.inboxes.insert(user(number), Position { acked, last });
            }
            // One more than there are.
            let acknowledged: Vec<_> = asked.iter().take(inboxes.len() + 1).enumerate().map(|(number, up_to)| {
                Acknowledged { user: user(number), client_id: None, up_to: Seq(*up_to) }
            }).collect();
            let mut write = Acknowledge::new(&acknowledged, Timestamp::from_millis(0));
            while !write.users.is_empty() {
                let decision = decide(&write, &facts);
                let over: i64 = decision.moves.iter().map(|one| one.to.0 - one.from.0).sum();
                prop_assert!(over <= STEP && (over > 0 || decision.left.is_empty()));
                for one in decision.moves {
                    let inbox = facts.inboxes.get_mut(&one.user).unwrap();
                    prop_assert_eq!(inbox.acked, one.from);
                    inbox.acked = one.to;
                }
                write.users = decision.left;
            }
            for (number, (acked, more)) in inboxes.iter().enumerate() {
                let goal = asked[number].min(acked + more).max(*acked);
                prop_assert_eq!(facts.inboxes[&user(number)].acked, Seq(goal));
            }
        }
    }

    #[test]
    fn cursors_go_as_far_as_the_inbox_and_those_that_are_missing_are_said() {
        let ann = user(1);
        let one = |client_id: &str, up_to| Acknowledged {
            user: ann.clone(),
            client_id: Some(client_id.into()),
            up_to: Seq(up_to),
        };
        let all = [
            one("phone", 3),
            one("phone", 8),
            one("tablet", 2),
            one("watch", 99),
        ];
        let acknowledge = Acknowledge::new(&all, Timestamp::from_millis(7));
        let mut facts = Facts::default();
        let (acked, last) = (Seq::NONE, Seq(9));
        facts.inboxes.insert(ann.clone(), Position { acked, last });
        for (client_id, seq) in [("phone", 1), ("tablet", 5)] {
            facts
                .cursors
                .insert((ann.clone(), client_id.into()), Seq(seq));
        }
        let decision = decide(&acknowledge, &facts);
        let seqs = |cursors: &[Cursor]| -> Vec<_> {
            cursors
                .iter()
                .map(|cursor| (cursor.client_id.to_string(), cursor.seq.0))
                .collect()
        };
        assert_eq!(
            seqs(&decision.cursors),
            [("phone".to_owned(), 8), ("tablet".to_owned(), 5)]
        );
        assert_eq!(seqs(&decision.missing), [("watch".to_owned(), 9)]);
        // Of nobody, there is nothing.
        let decision = decide(&acknowledge, &Facts::default());
        assert!(decision.moves.is_empty() && decision.missing.is_empty());
    }
}
