//! Who subscribes to what, and who gets a message.

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

use herald_acl::{TopicFilter, Username};
use smallvec::{SmallVec, smallvec};

use super::{
    groups::{Group, Member},
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
    pub(super) fn deliver(&self, message: &Arc<Message>) -> Outcome {
        let mut outcome = self.deliver_alone(message);
        outcome += self.deliver_to_groups(message);
        outcome
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

    fn deliver_to_groups(&self, message: &Arc<Message>) -> Outcome {
        let mut outcome = Outcome::default();
        self.groups.matching(&message.topic, |groups| {
            for (id, group) in groups {
                if let Some(member) = group.next(|member| member.since < message.seq) {
                    outcome += member.deliver(id, message.clone());
                }
            }
        });
        outcome
    }

    /// Gives `delivery` to another member than `from` of the group that it is for. Returns how many messages had to be
    /// dropped.
    pub(super) fn reassign(&self, delivery: Delivery, from: SessionId) -> u64 {
        let member = delivery.group.as_ref().and_then(|id| {
            let group = self.groups.get(&id.shared, id)?;
            Some((id, group.next(|member| member.session != from)?))
        });
        match member {
            Some((id, member)) => member.deliver(id, delivery.message).dropped,
            None => 1,
        }
    }

    /// Whether there are none, and nothing is kept for those that there were.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.alone.is_empty() && self.groups.is_empty() && self.sessions.is_empty()
    }

    /// The group in which the session has a subscription to `filter`: `None` without one, `Some(None)` if it is not shared.
    fn group_of(&self, session: SessionId, filter: &TopicFilter) -> Option<Option<&Arc<GroupId>>> {
        let mut all = self.sessions.get(&session)?.iter();
        let held = all.find(|held| &held.filter == filter)?;
        Some(held.group.as_ref())
    }

    /// Returns whether `member` is a new one.
    fn join(&mut self, id: &Arc<GroupId>, member: Member) -> bool {
        match self.groups.get_mut(&id.shared, id) {
            Some(group) => group.join(member),
            None => {
                let group = Group::of(member);
                self.groups.insert(&id.shared, id.clone(), group).is_none()
            }
        }
    }

    fn remove(&mut self, session: SessionId, held: &Held) {
        let Some(id) = &held.group else {
            self.alone.remove(&held.filter, &session);
            return;
        };
        let is_empty = self.groups.get_mut(&id.shared, id).is_some_and(|group| {
            group.leave(session);
            group.is_empty()
        });
        if is_empty {
            self.groups.remove(&id.shared, id);
        }
    }
}
