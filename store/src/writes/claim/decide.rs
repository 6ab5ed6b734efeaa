//! Which messages are claimed.

use std::collections::BTreeMap;

use crate::{MessageId, Timestamp, UserId};

/// A message that is queued.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Queued {
    pub(super) user: UserId,
    pub(super) due: Timestamp,
    pub(super) id: MessageId,
}

/// What a claim takes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) messages: Vec<MessageId>,
    /// When it is each user's turn again; `None`: nothing waits.
    pub(super) turns: BTreeMap<UserId, Option<Timestamp>>,
}

/// Takes up to `each` of what is due of each of `users`, and sends their queues behind all that wait for a turn at `now`, or,
/// if nothing in them is due, to the time when something is. `queued` has the first `each + 1` of each user's messages.
pub(super) fn decide(
    users: &[UserId],
    mut queued: Vec<Queued>,
    each: usize,
    now: Timestamp,
) -> Decision {
    queued.sort_unstable();
    let mut decision = Decision::default();
    for user in users {
        let first = queued.partition_point(|message| message.user < *user);
        let theirs = queued[first..].iter();
        let theirs: Vec<_> = theirs.take_while(|message| message.user == *user).collect();
        let due = theirs.iter().take(each);
        let taken = due.take_while(|message| message.due <= now).count();
        let ids = theirs[..taken].iter().map(|message| message.id.clone());
        decision.messages.extend(ids);
        let next = theirs.get(taken).map(|message| message.due.max(now));
        decision.turns.insert(user.clone(), next);
    }
    decision
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queued(user: u8, due: i64, id: u16) -> Queued {
        Queued {
            user: UserId::from_string(format!("user-{user}")),
            due: Timestamp::from_millis(due),
            id: MessageId::from_string(format!("{id:05}")),
        }
    }

    proptest! {
        /// Whatever is queued: each user's first that are due are taken, and the turn is when the next of the rest is.
        #[test]
        fn each_user_has_a_fair_part_and_the_turn_of_what_is_left(
            dues in prop::collection::vec((0..4_u8, 0..20_i64), 0..40),
            each in 1..5_usize,
            now in 0..20_i64,
        ) {
            let all: Vec<_> = dues.iter().zip(0..).map(|((user, due), id)| queued(*user, *due, id)).collect();
            let users: Vec<_> = (0..4).map(|user| queued(user, 0, 0).user).collect();
            let now = Timestamp::from_millis(now);
            let mut sorted = all.clone();
            sorted.sort();
            let of = |user: &UserId| sorted.iter().filter(|m| m.user == *user).cloned().collect::<Vec<_>>();
            // What the database is asked for.
            let read = users.iter().flat_map(|user| of(user).into_iter().take(each + 1)).rev().collect();
            let decision = decide(&users, read, each, now);
            for user in &users {
                let theirs = of(user);
                let due = theirs.iter().filter(|m| m.due <= now).take(each).count();
                for (place, message) in theirs.iter().enumerate() {
                    prop_assert_eq!(decision.messages.contains(&message.id), place < due);
                }
                let next = theirs.get(due).map(|m| m.due.max(now));
                prop_assert_eq!(decision.turns[user], next);
            }
        }
    }
}
