//! Who listens: the subscribers of the shared plane, by scope and filter.
//!
//! Each scope has a *slot*, which is what the router knows it by. Subscribers with the same filter are matched once; a
//! session's places are indexed, so that leaving costs what it holds, not what all hold.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use herald_acl::{TopicFilter, TopicName, Username};

use super::{
    Message, SessionId,
    groups::{Group, GroupId},
};
use crate::mailbox::{Delivery, Mailbox};

/// Scopes that have subscribers at any time: more than rules that a policy of sense has.
pub(super) const MAX_SCOPES: usize = 256;

/// All subscribers.
#[derive(Default)]
pub(super) struct Subscribers {
    /// By slot.
    scopes: Vec<Scope>,
    /// The slot of each group. It is that of its first member's scope until the group is empty: every scope that a member
    /// was granted through covers the filter, and each message must come once.
    groups: HashMap<Arc<GroupId>, usize>,
    sessions: HashMap<SessionId, Vec<Place>>,
}

/// One subscription of a session.
struct Place {
    filter: TopicFilter,
    slot: usize,
    /// If it is shared.
    group: Option<Arc<GroupId>>,
}

struct Scope {
    filter: TopicFilter,
    /// Filters without wildcards, by text, which is the topic.
    literal: HashMap<Arc<str>, Audience>,
    /// The others, by text.
    wild: HashMap<Arc<str>, Audience>,
    groups: HashMap<Arc<GroupId>, Group>,
}

/// Those who gave the same filter.
struct Audience {
    filter: TopicFilter,
    text: Arc<str>,
    members: HashMap<SessionId, Arc<Mailbox>>,
}

impl Subscribers {
    /// Enters a subscription, in place of one of the same session with the same filter; a shared one into the group of
    /// `owner`. `false`: too many scopes are in use.
    pub(super) fn enter(
        &mut self,
        scope: &TopicFilter,
        filter: &TopicFilter,
        owner: Option<&Username>,
        session: SessionId,
        mailbox: &Arc<Mailbox>,
    ) -> bool {
        let group = filter.is_shared().then(|| {
            Arc::new(GroupId {
                owner: owner.cloned(),
                filter: filter.clone(),
            })
        });
        if group.is_some() && self.is_member(session, group.as_ref()) {
            return true;
        }
        self.leave(session, filter);
        let of_group = group.as_ref().and_then(|id| self.groups.get(id).copied());
        let Some(slot) = of_group.or_else(|| self.slot(scope)) else {
            return false;
        };
        match &group {
            Some(id) => {
                self.scopes[slot].join(id, session, mailbox);
                self.groups.insert(id.clone(), slot);
            }
            None => self.scopes[slot].enter(filter, session, mailbox),
        }
        let filter = filter.clone();
        let places = self.sessions.entry(session).or_default();
        places.push(Place {
            filter,
            slot,
            group,
        });
        true
    }

    fn is_member(&self, session: SessionId, group: Option<&Arc<GroupId>>) -> bool {
        let mut places = self.sessions.get(&session).into_iter().flatten();
        places.any(|place| place.group.as_ref() == group)
    }

    /// Removes one subscription.
    pub(super) fn leave(&mut self, session: SessionId, filter: &TopicFilter) {
        let Some(places) = self.sessions.get_mut(&session) else {
            return;
        };
        let Some(i) = places.iter().position(|p| &p.filter == filter) else {
            return;
        };
        let place = places.swap_remove(i);
        if places.is_empty() {
            self.sessions.remove(&session);
        }
        self.vacate(session, &place);
    }

    /// Removes all subscriptions of a session.
    pub(super) fn leave_all(&mut self, session: SessionId) {
        for place in self.sessions.remove(&session).unwrap_or_default() {
            self.vacate(session, &place);
        }
    }

    /// The slots of the scopes that have subscribers, and that match `topic`.
    pub(super) fn slots_for(&self, topic: &TopicName) -> Vec<usize> {
        self.used()
            .filter(|(_, scope)| scope.filter.matches(topic))
            .map(|(slot, _)| slot)
            .collect()
    }

    /// The slots of the scopes that have subscribers.
    pub(super) fn used_slots(&self) -> Vec<usize> {
        self.used().map(|(slot, _)| slot).collect()
    }

    /// Delivers a message of the scope in `slot` to all in it that it matches, once each, and to one of each group. Answers how
    /// many older messages had to go.
    pub(super) fn deliver(&self, slot: usize, message: &Arc<Message>) -> u64 {
        let Some(scope) = self.scopes.get(slot) else {
            return 0;
        };
        let literal = scope.literal.get(message.topic.as_str());
        let wild = scope.wild.values();
        let matching = wild.filter(|a| a.filter.matches(&message.topic));
        let audiences: Vec<&Audience> = literal.into_iter().chain(matching).collect();
        let mut had = HashSet::new();
        let mut dropped = 0;
        for audience in &audiences {
            for (session, mailbox) in &audience.members {
                // One copy, whichever of the session's filters it comes for: they are looked at when it is sent.
                if audiences.len() > 1 && !had.insert(session) {
                    continue;
                }
                dropped += mailbox.deliver(Delivery {
                    filter: audience.text.clone(),
                    message: message.clone(),
                    retained: false,
                    group: None,
                });
            }
        }
        for group in scope.groups.values() {
            if group.id.filter.matches(&message.topic)
                && let Some(mailbox) = group.next(None)
            {
                dropped += mailbox.deliver(Delivery {
                    filter: group.text.clone(),
                    message: message.clone(),
                    retained: false,
                    group: Some(group.id.clone()),
                });
            }
        }
        dropped
    }

    /// Gives `delivery` to another member than `from` of the group that it is for. Answers how many messages had to go.
    pub(super) fn reassign(&self, delivery: Delivery, from: SessionId) -> u64 {
        let group = delivery.group.as_ref().and_then(|id| {
            let slot = self.groups.get(id)?;
            self.scopes[*slot].groups.get(id)
        });
        match group.and_then(|group| group.next(Some(from))) {
            Some(mailbox) => mailbox.deliver(delivery),
            None => 1,
        }
    }

    /// The slot of `scope`: its own, a new one, or that of one that nobody listens in.
    fn slot(&mut self, scope: &TopicFilter) -> Option<usize> {
        if let Some(slot) = self.scopes.iter().position(|s| &s.filter == scope) {
            return Some(slot);
        }
        if self.scopes.len() < MAX_SCOPES {
            self.scopes.push(Scope::new(scope));
            return Some(self.scopes.len() - 1);
        }
        let slot = self.scopes.iter().position(Scope::is_empty)?;
        self.scopes[slot] = Scope::new(scope);
        Some(slot)
    }

    fn used(&self) -> impl Iterator<Item = (usize, &Scope)> {
        self.scopes
            .iter()
            .enumerate()
            .filter(|(_, scope)| !scope.is_empty())
    }

    fn vacate(&mut self, session: SessionId, place: &Place) {
        let scope = &mut self.scopes[place.slot];
        match &place.group {
            Some(id) => {
                if scope.leave_group(id, session) {
                    self.groups.remove(id);
                }
            }
            None => scope.leave(&place.filter, session),
        }
    }
}

impl Scope {
    fn new(filter: &TopicFilter) -> Self {
        Self {
            filter: filter.clone(),
            literal: HashMap::new(),
            wild: HashMap::new(),
            groups: HashMap::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.literal.is_empty() && self.wild.is_empty() && self.groups.is_empty()
    }

    fn enter(&mut self, filter: &TopicFilter, session: SessionId, mailbox: &Arc<Mailbox>) {
        let text: Arc<str> = filter.as_str().into();
        self.audiences(filter)
            .entry(text.clone())
            .or_insert_with(|| Audience {
                filter: filter.clone(),
                text,
                members: HashMap::new(),
            })
            .members
            .insert(session, mailbox.clone());
    }

    fn leave(&mut self, filter: &TopicFilter, session: SessionId) {
        let text = filter.as_str();
        let audiences = self.audiences(filter);
        if let Some(audience) = audiences.get_mut(text) {
            audience.members.remove(&session);
            if audience.members.is_empty() {
                audiences.remove(text);
            }
        }
    }

    fn join(&mut self, id: &Arc<GroupId>, session: SessionId, mailbox: &Arc<Mailbox>) {
        let group = self.groups.entry(id.clone());
        let group = group.or_insert_with(|| Group::new(id.clone()));
        group.join(session, mailbox);
    }

    /// Answers whether the group has no members any more.
    fn leave_group(&mut self, id: &Arc<GroupId>, session: SessionId) -> bool {
        let Some(group) = self.groups.get_mut(id) else {
            return true;
        };
        group.leave(session);
        let empty = group.is_empty();
        if empty {
            self.groups.remove(id);
        }
        empty
    }

    fn audiences(&mut self, filter: &TopicFilter) -> &mut HashMap<Arc<str>, Audience> {
        if filter.is_literal() {
            &mut self.literal
        } else {
            &mut self.wild
        }
    }
}
