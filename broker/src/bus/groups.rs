//! One group of a shared subscription (MQTT 5 section 4.8.2): each message goes to one of its members.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use herald_acl::{TopicFilter, Username};

use super::SessionId;
use crate::mailbox::Mailbox;

/// Names a group. The same `$share/{name}/{filter}` of two users is two groups, unless a rule opens it: what one user takes
/// must not be missing to another.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct GroupId {
    /// `None`: of all whom a rule lets into it by its name.
    pub(crate) owner: Option<Username>,
    /// `$share/{name}/{filter}`.
    pub(crate) filter: TopicFilter,
}

/// Those who share one `$share/{name}/{filter}`.
pub(super) struct Group {
    pub(super) id: Arc<GroupId>,
    /// The text of its filter.
    pub(super) text: Arc<str>,
    members: Vec<(SessionId, Arc<Mailbox>)>,
    /// Whose turn it is, modulo the number of members.
    turn: AtomicUsize,
}

impl Group {
    pub(super) fn new(id: Arc<GroupId>) -> Self {
        Self {
            text: id.filter.as_str().into(),
            id,
            members: vec![],
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) fn join(&mut self, session: SessionId, mailbox: &Arc<Mailbox>) {
        self.members.push((session, mailbox.clone()));
    }

    pub(super) fn leave(&mut self, session: SessionId) {
        self.members.retain(|(member, _)| *member != session);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member whose turn it is, never `except`: the next one that is online, else the next one.
    pub(super) fn next(&self, except: Option<SessionId>) -> Option<&Arc<Mailbox>> {
        let start = self.turn.load(Ordering::Relaxed);
        let next = next(self.members.len(), start, |i| {
            let (session, mailbox) = &self.members[i];
            (Some(*session) != except).then(|| mailbox.is_online())
        })?;
        self.turn.store(next + 1, Ordering::Relaxed);
        Some(&self.members[next].1)
    }
}

/// The first of `count` places from `start` on, and round again, where `online` answers `Some(true)`, else `Some(false)`.
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
        let mut group = Group::new(Arc::new(GroupId {
            owner: None,
            filter: TopicFilter::parse("$share/g/a").unwrap(),
        }));
        let members: Vec<_> = (0..3)
            .map(|_| (SessionId::next(), Arc::new(Mailbox::default())))
            .collect();
        for (session, mailbox) in &members {
            group.join(*session, mailbox);
        }
        let who = |chosen: Option<&Arc<Mailbox>>| {
            chosen.and_then(|c| members.iter().position(|(_, m)| Arc::ptr_eq(c, m)))
        };
        let turns: Vec<_> = (0..6).map(|_| who(group.next(None))).collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2].map(Some));
        assert_eq!(who(group.next(Some(members[0].0))), Some(1));
        group.leave(members[1].0);
        let turns: Vec<_> = (0..4).map(|_| who(group.next(None))).collect();
        assert_eq!(turns, [0, 2, 0, 2].map(Some));
        group.leave(members[0].0);
        assert_eq!(who(group.next(Some(members[2].0))), None);
        group.leave(members[2].0);
        assert!(group.is_empty() && group.next(None).is_none());
    }
}
