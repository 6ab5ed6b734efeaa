//! Who subscribes to what, and who gets a message.

use std::{
    collections::{HashMap, HashSet, hash_map},
    sync::Arc,
};

use herald_acl::{TopicFilter, Username};
use smallvec::{SmallVec, smallvec};

use super::{
    frames::ServerTag,
    groups::{Counts, Group, Member, Next},
    trie::SubscriptionTrie,
};
use crate::{
    delivery::{Delivery, Outcome, Subscriber},
    ids::{GroupId, SessionId, SubscriptionKey, SubscriptionKeys},
    message::Message,
};

/// A session's subscription to shared topics.
pub(crate) struct Subscription<'a> {
    pub(crate) session: SessionId,
    pub(crate) key: SubscriptionKey,
    pub(crate) filter: &'a TopicFilter,
    /// It does not bring what the session publishes itself (MQTT 5 section 3.8.3.1).
    pub(crate) no_local: bool,
    /// Whose group it is in, if it is a shared one: `None` for that of all who may enter it.
    pub(crate) owner: Option<&'a Username>,
}

/// All subscriptions to shared topics.
#[derive(Default)]
pub(super) struct Subscriptions {
    alone: SubscriptionTrie<SessionId, Entry>,
    groups: SubscriptionTrie<Arc<GroupId>, Group>,
    /// What each session has, so that leaving costs what it has, not what all have.
    sessions: HashMap<SessionId, Vec<Held>>,
    /// What each other server has, so that forgetting it costs no more either.
    servers: HashMap<ServerTag, HashSet<Arc<GroupId>>>,
    /// Groups whose members here have changed, if other servers are to know.
    changed: Option<HashSet<Arc<GroupId>>>,
}

/// Groups of one server that others know of at most: messages go to others beyond.
const GROUPS_ELSEWHERE: usize = 100_000;

/// Who of a group is to have a message.
pub(super) enum Share<'a> {
    /// Whose turn it is, on any server.
    Anyone,
    /// A member here of each of these groups, which another server has chosen; if there is none any more, one of any server if
    /// that `may_go_on`.
    Here {
        groups: &'a [GroupId],
        may_go_on: bool,
    },
}

/// What came of handing a message to those who subscribed.
#[derive(Default)]
pub(super) struct Delivered {
    pub(super) outcome: Outcome,
    /// Of which groups a member on another server is to have it, and on which.
    pub(super) elsewhere: Vec<(Arc<GroupId>, ServerTag)>,
}

/// One session's subscription to one filter.
struct Entry {
    key: SubscriptionKey,
    no_local: bool,
    /// It brings what entered the relay after this one.
    since: u64,
    subscriber: Arc<dyn Subscriber>,
}

/// What a session holds.
struct Held {
    filter: TopicFilter,
    /// If it is shared.
    group: Option<Arc<GroupId>>,
}

impl Entry {
    fn brings(&self, message: &Message, session: SessionId) -> bool {
        self.since < message.seq && !(self.no_local && session == message.origin)
    }
}

impl Subscriptions {
    /// Enters a subscription, which brings what enters the relay after message `since`. One of the same session with the same
    /// filter is changed and brings what it did.
    pub(super) fn enter(
        &mut self,
        subscription: &Subscription<'_>,
        subscriber: Arc<dyn Subscriber>,
        since: u64,
    ) {
        let &Subscription {
            session,
            key,
            filter,
            no_local,
            owner,
        } = subscription;
        let group = filter.shared_filter().map(|shared| {
            Arc::new(GroupId {
                owner: owner.cloned(),
                filter: filter.clone(),
                shared,
            })
        });
        if let Some(old) = self.group_of(session, filter)
            && old != group.as_ref()
        {
            self.leave(session, filter);
        }
        let is_new = match &group {
            Some(id) => {
                let member = Member {
                    session,
                    key,
                    since,
                    subscriber,
                };
                self.join(id, member)
            }
            None => {
                let since = self.alone.get(filter, &session).map_or(since, |e| e.since);
                let entry = Entry {
                    key,
                    no_local,
                    since,
                    subscriber,
                };
                self.alone.insert(filter, session, entry).is_none()
            }
        };
        if is_new {
            let filter = filter.clone();
            let held = self.sessions.entry(session).or_default();
            held.push(Held { filter, group });
        }
    }

    /// Removes one subscription.
    pub(super) fn leave(&mut self, session: SessionId, filter: &TopicFilter) {
        let hash_map::Entry::Occupied(mut all) = self.sessions.entry(session) else {
            return;
        };
        let Some(at) = all.get().iter().position(|held| &held.filter == filter) else {
            return;
        };
        let held = all.get_mut().swap_remove(at);
        if all.get().is_empty() {
            all.remove();
        }
        self.remove(session, &held);
    }

    /// Removes all subscriptions of a session.
    pub(super) fn leave_all(&mut self, session: SessionId) {
        for held in self.sessions.remove(&session).unwrap_or_default() {
            self.remove(session, &held);
        }
    }

    /// Delivers `message` to each session that has a subscription for it, once, and to one member of each group.
    pub(super) fn deliver(&self, message: &Arc<Message>, share: &Share<'_>) -> Delivered {
        let mut delivered = Delivered {
            outcome: self.deliver_alone(message),
            ..Delivered::default()
        };
        self.share(message, share, &mut delivered);
        delivered
    }

    /// The same, only to the groups: the others had it before.
    pub(super) fn share(
        &self,
        message: &Arc<Message>,
        share: &Share<'_>,
        delivered: &mut Delivered,
    ) {
        match share {
            Share::Anyone => self.groups.matching(&message.topic, |groups| {
                for (id, group) in groups {
                    let next = group.next(|member| member.since < message.seq, |_| true);
                    deliver_to(next, id, message, delivered);
                }
            }),
            &Share::Here { groups, may_go_on } => {
                for id in groups {
                    let group = self.groups.get_key_value(&id.shared, id);
                    let next = group.and_then(|(id, group)| {
                        let next = group.next(|_| true, |_| false);
                        Some((id, next.or_else(|| group.next(|_| true, |_| may_go_on))?))
                    });
                    match next {
                        Some((id, next)) => deliver_to(Some(next), id, message, delivered),
                        None => delivered.outcome += Outcome::dropped(1),
                    }
                }
            }
        }
    }

    fn deliver_alone(&self, message: &Arc<Message>) -> Outcome {
        let mut filters: SmallVec<[_; 4]> = smallvec![];
        self.alone
            .matching(&message.topic, |sessions| filters.push(sessions));
        let all = filters.iter().copied().flatten();
        let all = all.filter(|(session, entry)| entry.brings(message, **session));
        let mut outcome = Outcome::default();
        let mut deliver = |subscriber: &Arc<dyn Subscriber>, keys: SubscriptionKeys| {
            outcome += subscriber.deliver(Delivery::live(message.clone(), keys));
        };
        if filters.len() < 2 {
            all.for_each(|(_, entry)| deliver(&entry.subscriber, smallvec![entry.key]));
            return outcome;
        }
        let mut copies = HashMap::new();
        for (session, entry) in all {
            let copy = copies.entry(*session);
            let (_, keys) = copy.or_insert_with(|| (&entry.subscriber, smallvec![]));
            keys.push(entry.key);
        }
        for (subscriber, keys) in copies.into_values() {
            deliver(subscriber, keys);
        }
        outcome
    }

    /// Gives `delivery` to another member than `from` of the group that it is for; drops it if there is none.
    pub(super) fn reassign(&self, delivery: Delivery, from: SessionId) -> Delivered {
        let mut delivered = Delivered::default();
        let next = delivery.group.as_ref().and_then(|id| {
            let group = self.groups.get(&id.shared, id)?;
            Some((id, group.next(|member| member.session != from, |_| true)?))
        });
        match next {
            Some((id, next)) => deliver_to(Some(next), id, &delivery.message, &mut delivered),
            None => delivered.outcome = Outcome::dropped(1),
        }
        delivered
    }

    /// Another server has so many members of a group.
    pub(super) fn count_elsewhere(&mut self, server: ServerTag, id: GroupId, counts: Counts) {
        let id = Arc::new(id);
        let groups = self.servers.entry(server).or_default();
        if counts == Counts::default() {
            groups.remove(&id);
        } else if groups.len() < GROUPS_ELSEWHERE {
            groups.insert(id.clone());
        } else if !groups.contains(&id) {
            return;
        }
        self.change(&id, |group| group.count_elsewhere(server, counts));
    }

    /// Another server has no members of any group, as far as is known.
    pub(super) fn forget_server(&mut self, server: ServerTag) {
        for id in self.servers.remove(&server).unwrap_or_default() {
            self.change(&id, |group| {
                group.count_elsewhere(server, Counts::default())
            });
        }
    }

    /// The session has a connection now, or none any more.
    pub(super) fn presence_changed(&mut self, session: SessionId) {
        let held = self.sessions.get(&session).into_iter().flatten();
        let groups = held.filter_map(|held| held.group.clone());
        self.changed
            .iter_mut()
            .for_each(|changed| changed.extend(groups.clone()));
    }

    /// Some of the groups whose members here have changed since they were last taken, and how many they have. One at least, if
    /// there is one, and no more than that if their names take more than `bytes`.
    pub(super) fn take_changed(&mut self, bytes: usize) -> Vec<(Arc<GroupId>, Counts)> {
        let Some(changed) = &mut self.changed else {
            return vec![];
        };
        let mut left = bytes;
        let fits = |id: &&Arc<GroupId>| {
            let is_first = left == bytes;
            let rest = left.checked_sub(id.name_bytes());
            left = rest.unwrap_or(0);
            is_first || rest.is_some()
        };
        let some: Vec<_> = changed.iter().take_while(fits).cloned().collect();
        let counted = some.into_iter().map(|id| {
            changed.remove(&id);
            let group = self.groups.get(&id.shared, &id);
            let counts = group.map_or_else(Counts::default, Group::counts);
            (id, counts)
        });
        counted.collect()
    }

    /// All groups that have members here count as changed, and no others.
    pub(super) fn all_changed(&mut self) {
        let held = self.sessions.values().flatten();
        self.changed = Some(held.filter_map(|held| held.group.clone()).collect());
    }

    /// Nobody is to know what changes.
    pub(super) fn none_changed(&mut self) {
        self.changed = None;
    }

    fn note_change(&mut self, id: &Arc<GroupId>) {
        if let Some(changed) = &mut self.changed {
            changed.insert(id.clone());
        }
    }

    /// Changes a group, which is there as long as it has members.
    fn change(&mut self, id: &Arc<GroupId>, change: impl FnOnce(&mut Group)) {
        if let Some(group) = self.groups.get_mut(&id.shared, id) {
            change(group);
            if group.is_empty() {
                self.groups.remove(&id.shared, id);
            }
            return;
        }
        let mut group = Group::default();
        change(&mut group);
        if !group.is_empty() {
            self.groups.insert(&id.shared, id.clone(), group);
        }
    }

    /// Whether there are none, and nothing is kept for those that there were.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.alone.is_empty()
            && self.groups.is_empty()
            && self.sessions.is_empty()
            && self.servers.is_empty()
    }

    /// How many members the groups that match `topic` have on other servers.
    #[cfg(test)]
    pub(super) fn elsewhere(&self, topic: &herald_acl::TopicName) -> usize {
        let mut count = 0;
        self.groups.matching(topic, |groups| {
            count += groups
                .values()
                .map(Group::count_of_elsewhere)
                .sum::<usize>();
        });
        count
    }

    /// The group in which the session has a subscription to `filter`: `None` without one, `Some(None)` if it is not shared.
    fn group_of(&self, session: SessionId, filter: &TopicFilter) -> Option<Option<&Arc<GroupId>>> {
        let mut all = self.sessions.get(&session)?.iter();
        let held = all.find(|held| &held.filter == filter)?;
        Some(held.group.as_ref())
    }

    /// Returns whether `member` is a new one.
    fn join(&mut self, id: &Arc<GroupId>, member: Member) -> bool {
        let mut is_new = false;
        self.change(id, |group| is_new = group.join(member));
        if is_new {
            self.note_change(id);
        }
        is_new
    }

    fn remove(&mut self, session: SessionId, held: &Held) {
        let Some(id) = &held.group else {
            self.alone.remove(&held.filter, &session);
            return;
        };
        self.change(id, |group| group.leave(session));
        self.note_change(id);
    }
}

fn deliver_to(
    next: Option<Next<'_>>,
    id: &Arc<GroupId>,
    message: &Arc<Message>,
    delivered: &mut Delivered,
) {
    match next {
        Some(Next::Member(member)) => delivered.outcome += member.deliver(id, message.clone()),
        Some(Next::Server(server)) => delivered.elsewhere.push((id.clone(), server)),
        None => {}
    }
}
