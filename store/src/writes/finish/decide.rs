//! Which messages end, and under which number their owners hear of it.

use std::collections::{BTreeMap, HashMap};

use herald_acl::Username;

use crate::notification::NotificationContent;
use crate::writes::stored_bytes;
use crate::writes::user_queues::UserQueueChanges;
use crate::{Epoch, Job, MessageId, Notification, Outcome, Seq, Status, Timestamp, UserId};

/// A message that was finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Whose it is.
    pub user_id: UserId,
    /// The name of whose it is.
    pub username: Username,
    /// What its owner is notified of.
    pub notification: Notification,
    /// When it was due for the attempt that ended it.
    pub due: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// A message that is to end.
pub(super) struct Finish {
    pub(super) job: Job,
    pub(super) outcome: Outcome,
    pub(super) epoch: Epoch,
    pub(super) notification_bytes: usize,
    pub(super) now: Timestamp,
}

impl Finish {
    /// A result that is the body is not stored a second time.
    pub(super) fn stored_result(&self) -> Option<&str> {
        let result = self.outcome.result();
        result.filter(|result| *result != self.job.body)
    }
}

/// What has to be known.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The messages that are claimed, each with its lease.
    pub(super) leases: HashMap<MessageId, String>,
    /// The number of the newest notification in each inbox.
    pub(super) last: BTreeMap<UserId, i64>,
}

/// What comes of it.
#[derive(Default)]
pub(super) struct Decision<'a> {
    /// The answer to each, in order.
    pub(super) outputs: Vec<Option<Finished>>,
    /// Those that end, each with its number.
    pub(super) ended: Vec<(&'a Finish, Seq)>,
    /// The newest number in each inbox that changes.
    pub(super) last: BTreeMap<UserId, i64>,
    pub(super) queues: UserQueueChanges,
}

/// Decides as if one were finished after the other, those first that were due first: so messages that are processed at once end in
/// the order in which their user sent them. Only the claimant finishes a message, and only once.
pub(super) fn decide<'a>(all: &[&'a Finish], mut facts: Facts) -> Decision<'a> {
    let mut decision = Decision {
        outputs: all.iter().map(|_| None).collect(),
        ..Decision::default()
    };
    for (index, finish) in in_order(all) {
        let finished = decide_one(finish, &mut facts);
        if let Some(finished) = &finished {
            let (user, seq) = (&finish.job.user_id, finished.notification.seq);
            let stored = stored_bytes::of_end(finish.stored_result(), finish.outcome.error());
            decision.queues.open(user, -1);
            decision.queues.stored(user, stored);
            let status = finish.outcome.status();
            decision
                .queues
                .moved(Some(Status::Processing), Some(status), 1);
            decision.queues.number_given();
            decision.last.insert(user.clone(), seq.0);
            decision.ended.push((finish, seq));
        }
        decision.outputs[index] = finished;
    }
    decision
}

/// Each with its place in `all`, those first that were due first.
fn in_order<'a>(all: &[&'a Finish]) -> Vec<(usize, &'a Finish)> {
    let mut ordered: Vec<_> = all.iter().copied().enumerate().collect();
    ordered.sort_by(|(_, a), (_, b)| {
        let (a, b) = (&a.job, &b.job);
        (a.due, &a.id).cmp(&(b.due, &b.id))
    });
    ordered
}

fn decide_one(finish: &Finish, facts: &mut Facts) -> Option<Finished> {
    let job = &finish.job;
    let is_theirs = facts.leases.get(&job.id).map(String::as_str) == Some(&*job.lease.0);
    let last = facts.last.get_mut(&job.user_id).filter(|_| is_theirs)?;
    facts.leases.remove(&job.id);
    *last += 1;
    let content =
        NotificationContent::fresh(Seq(*last), &finish.epoch, job, &finish.outcome, finish.now);
    Some(Finished {
        user_id: job.user_id.clone(),
        username: job.username.clone(),
        notification: content.notification(finish.notification_bytes),
        due: job.due,
        ended_at: finish.now,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Lease;

    const USERS: [&str; 3] = ["ann", "bob", "eve"];

    /// A message of which several are due at a time.
    fn finish(message: usize, lease: &str) -> Finish {
        let user = USERS[message % USERS.len()];
        Finish {
            job: Job {
                id: MessageId::from_string(message.to_string()),
                user_id: UserId::from_string(user.to_owned()),
                username: user.parse().unwrap(),
                body: "hello".to_owned(),
                attempt: 1,
                failures: 0,
                created_at: Timestamp::from_millis(0),
                due: due(message),
                lease: Lease(lease.into()),
            },
            outcome: Outcome::Processed {
                result: "hello".to_owned(),
            },
            epoch: Epoch::of("first".to_owned()),
            notification_bytes: 4096,
            now: Timestamp::from_millis(9),
        }
    }

    fn due(message: usize) -> Timestamp {
        Timestamp::from_millis((message % 4) as i64)
    }

    proptest! {
        /// Whoever finishes what, in whatever order: each message ends once and for its claimant only, and each inbox is
        /// numbered without a gap, in the order in which they were due.
        #[test]
        fn each_message_ends_once_and_numbers_have_no_gap(
            finishes in prop::collection::vec((0..9_usize, 0..2_usize), 0..30),
            claimed in prop::collection::vec(prop::option::of(0..2_usize), 9),
        ) {
            let leases = ["mine", "theirs"];
            let all: Vec<_> = finishes.iter().map(|(id, lease)| finish(*id, leases[*lease])).collect();
            let facts = Facts {
                leases: claimed.iter().enumerate().filter_map(|(id, lease)| {
                    let lease = leases[(*lease)?].to_owned();
                    Some((MessageId::from_string(id.to_string()), lease))
                }).collect(),
                last: USERS.iter().zip([0, 5, 9]).map(|(user, last)| {
                    (UserId::from_string((*user).to_owned()), last)
                }).collect(),
            };
            let mut next: BTreeMap<_, _> = facts.last.clone();
            let decision = decide(&all.iter().collect::<Vec<_>>(), facts);
            let mut ended = std::collections::HashSet::new();
            let mut outputs: Vec<_> = finishes.iter().zip(&decision.outputs).collect();
            outputs.sort_by_key(|((id, _), _)| (due(*id), *id));
            for ((id, lease), output) in outputs {
                let ends = claimed[*id] == Some(*lease) && ended.insert(*id);
                prop_assert_eq!(output.is_some(), ends);
                if let Some(finished) = output {
                    let last = next.get_mut(&finished.user_id).unwrap();
                    *last += 1;
                    prop_assert_eq!(finished.notification.seq, Seq(*last));
                }
            }
            prop_assert_eq!(decision.ended.len(), ended.len());
            for (user, last) in &decision.last {
                prop_assert_eq!(last, &next[user]);
            }
        }
    }
}
