//! One group of a shared subscription (MQTT 5 section 4.8.2): each message goes to one of its members.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use smallvec::smallvec;

use crate::{
    delivery::{Delivery, Outcome, Subscriber},
    ids::{GroupId, SessionId, SubscriptionKey},
    message::Message,
};

/// Those who share one `$share/{name}/{filter}`.
pub(super) struct Group {
    members: Vec<Member>,
    /// Whose turn it is, modulo the number of members.
    turn: AtomicUsize,
}

/// A session in a group.
pub(super) struct Member {
    pub(super) session: SessionId,
    pub(super) key: SubscriptionKey,
    /// What entered the relay up to this message goes to others.
    pub(super) since: u64,
    pub(super) subscriber: Arc<dyn Subscriber>,
}

impl Member {
    /// Delivers `message` as one of the group `id`.
    pub(super) fn deliver(&self, id: &Arc<GroupId>, message: Arc<Message>) -> Outcome {
        self.subscriber.deliver(Delivery {
            group: Some(id.clone()),
            ..Delivery::live(message, smallvec![self.key])
        })
    }
}

impl Group {
    /// One of a single member.
    pub(super) fn of(member: Member) -> Self {
        Self {
            members: vec![member],
            turn: AtomicUsize::new(0),
        }
    }

    /// Adds `member`. `false`: its session is in the group already.
    pub(super) fn join(&mut self, member: Member) -> bool {
        let is_new = self.members.iter().all(|m| m.session != member.session);
        if is_new {
            self.members.push(member);
        }
        is_new
    }

    pub(super) fn leave(&mut self, session: SessionId) {
        self.members.retain(|member| member.session != session);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member whose turn it is, of those that are `eligible`: the next one that is online, else the next one.
    pub(super) fn next(&self, eligible: impl Fn(&Member) -> bool) -> Option<&Member> {
        let start = self.turn.load(Ordering::Relaxed);
        let next = next(self.members.len(), start, |i| {
            let member = &self.members[i];
            eligible(member).then(|| member.subscriber.is_online())
        })?;
        self.turn.store(next + 1, Ordering::Relaxed);
        Some(&self.members[next])
    }
}

/// The first of `count` places from `start` on, and round again, where `online` returns `Some(true)`, else `Some(false)`.
fn next(count: usize, start: usize, online: impl Fn(usize) -> Option<bool>) -> Option<usize> {
    let mut offline = None;
    for i in (0..count).map(|i| (start + i) % count) {
        match online(i) {
            Some(true) => return Some(i),
            Some(false) => offline = offline.or(Some(i)),
            None => {}
        }
    }
    offline
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::tests::Recorder;

    #[test]
    fn the_next_member_that_is_online_is_chosen_and_an_offline_one_if_there_is_no_other() {
        let online = [Some(false), Some(true), None, Some(true)];
        let chosen = |start| next(4, start, |i| online[i]);
        assert_eq!([0, 1, 2, 3, 4].map(chosen), [1, 1, 3, 3, 1].map(Some));
        assert_eq!(next(2, 1, |_| Some(false)), Some(1));
        assert_eq!(next(2, 1, |i| (i == 0).then_some(false)), Some(0));
        assert_eq!(next(1, 0, |_| None), None);
        assert_eq!(next(0, 7, |_| Some(true)), None);
    }

    #[test]
    fn members_take_turns_and_a_member_that_leaves_has_none() {
        let all = [(); 3].map(|()| SessionId::next());
        let member = |session| Member {
            session,
            key: SubscriptionKey::next(),
            since: 0,
            subscriber: Arc::new(Recorder::default()),
        };
        let mut group = Group::of(member(all[0]));
        assert!(group.join(member(all[1])) && group.join(member(all[2])));
        assert!(!group.join(member(all[1])));
        let next = |group: &Group, except: Option<SessionId>| {
            let chosen = group.next(|member| Some(member.session) != except)?;
            all.iter().position(|session| *session == chosen.session)
        };
        let turns: Vec<_> = (0..6).map(|_| next(&group, None)).collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2].map(Some));
        assert_eq!(next(&group, Some(all[0])), Some(1));
        group.leave(all[1]);
        let turns: Vec<_> = (0..4).map(|_| next(&group, None)).collect();
        assert_eq!(turns, [0, 2, 0, 2].map(Some));
        group.leave(all[0]);
        assert_eq!(next(&group, Some(all[2])), None);
        group.leave(all[2]);
        assert!(group.is_empty() && next(&group, None).is_none());
    }
}
