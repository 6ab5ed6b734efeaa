//! One group of a shared subscription (MQTT 5 section 4.8.2): each message goes to one of its members.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use smallvec::smallvec;

use super::frames::ServerTag;
use crate::{
    delivery::{Delivery, Outcome, Subscriber},
    ids::{GroupId, SessionId, SubscriptionKey},
    message::Message,
};

/// Members of another server that count at most, of each kind: more have no more turns.
const COUNTED: u32 = 1000;

/// Those who share one `$share/{name}/{filter}`, of whom one at least is known.
#[derive(Default)]
pub(super) struct Group {
    members: Vec<Member>,
    elsewhere: Vec<Elsewhere>,
    /// Whose turn it is, modulo the number of members.
    turn: AtomicUsize,
}

/// How many members a group has on a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// With a connection.
    pub(super) online: u32,
    /// Without.
    pub(super) offline: u32,
}

/// The members on another server.
struct Elsewhere {
    server: ServerTag,
    counts: Counts,
}

/// Whose turn it is.
pub(super) enum Next<'a> {
    /// One of this server.
    Member(&'a Member),
    /// One of another.
    Server(ServerTag),
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

impl Counts {
    fn capped(self) -> Self {
        Self {
            online: self.online.min(COUNTED),
            offline: self.offline.min(COUNTED),
        }
    }

    fn all(self) -> usize {
        (self.online + self.offline) as usize
    }
}

impl Group {
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

    /// The group has so many members on `server`.
    pub(super) fn count_elsewhere(&mut self, server: ServerTag, counts: Counts) {
        self.elsewhere.retain(|e| e.server != server);
        if counts != Counts::default() {
            let counts = counts.capped();
            self.elsewhere.push(Elsewhere { server, counts });
        }
    }

    /// How many members it has here.
    pub(super) fn counts(&self) -> Counts {
        let online = self.members.iter().filter(|m| m.subscriber.is_online());
        let online = online.count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Counts {
            online: count(online),
            offline: count(self.members.len() - online),
        }
    }

    #[cfg(test)]
    pub(super) fn count_of_elsewhere(&self) -> usize {
        self.elsewhere.iter().map(|e| e.counts.all()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.elsewhere.is_empty()
    }

    /// The member whose turn it is, of those here that are `eligible` and all `elsewhere`, if these count: the next one that is
    /// online, else the next one.
    pub(super) fn next(
        &self,
        eligible: impl Fn(&Member) -> bool,
        elsewhere: impl Fn(ServerTag) -> bool,
    ) -> Option<Next<'_>> {
        let start = self.turn.load(Ordering::Relaxed);
        let all = self.elsewhere.iter().filter(|e| elsewhere(e.server));
        let count = self.members.len() + all.clone().map(|e| e.counts.all()).sum::<usize>();
        // Which server a place belongs to, and whether that member is online.
        let server = |place: usize| {
            let mut left = place - self.members.len();
            let found = all.clone().find(|e| {
                let is_there = left < e.counts.all();
                left -= if is_there { 0 } else { e.counts.all() };
                is_there
            });
            found.map(|e| (e.server, left < e.counts.online as usize))
        };
        let next = next(count, start, |place| match self.members.get(place) {
            Some(member) => eligible(member).then(|| member.subscriber.is_online()),
            None => server(place).map(|(_, online)| online),
        })?;
        self.turn.store(next + 1, Ordering::Relaxed);
        match self.members.get(next) {
            Some(member) => Some(Next::Member(member)),
            None => server(next).map(|(server, _)| Next::Server(server)),
        }
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
        let mut group = Group::default();
        assert!(all.iter().all(|session| group.join(member(*session))));
        assert!(!group.join(member(all[1])));
        let next = |group: &Group, except: Option<SessionId>| {
            let eligible = |member: &Member| Some(member.session) != except;
            let Some(Next::Member(chosen)) = group.next(eligible, |_| true) else {
                return None;
            };
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

    #[test]
    fn members_elsewhere_have_as_many_turns_as_they_are() {
        let mut group = Group::default();
        assert!(group.is_empty());
        group.join(Member {
            session: SessionId::next(),
            key: SubscriptionKey::next(),
            since: 0,
            subscriber: Arc::new(Recorder::default()),
        });
        let counts = |online, offline| Counts { online, offline };
        assert_eq!(group.counts(), counts(1, 0));
        group.count_elsewhere(7, counts(2, 1));
        group.count_elsewhere(8, counts(0, 1));
        let next = |group: &Group, except| match group.next(|_| true, |tag| tag != except)? {
            Next::Member(_) => Some(0),
            Next::Server(tag) => Some(tag),
        };
        let mut turns: Vec<_> = (0..6).map(|_| next(&group, 0)).collect();
        // Nobody is chosen who has no connection, as long as there are others.
        turns.sort_unstable();
        assert_eq!(turns, [0, 0, 7, 7, 7, 7].map(Some));
        assert!((0..6).all(|_| next(&group, 7) == Some(0)));
        group.count_elsewhere(7, counts(0, u32::MAX));
        let turns: Vec<_> = (0..6).map(|_| next(&group, 0)).collect();
        assert_eq!(turns, [Some(0); 6]);
        group.count_elsewhere(7, Counts::default());
        group.members.clear();
        assert_eq!(next(&group, 0), Some(8));
        assert_eq!(next(&group, 8), None);
        group.count_elsewhere(8, Counts::default());
        assert!(group.is_empty() && next(&group, 0).is_none());
    }
}
