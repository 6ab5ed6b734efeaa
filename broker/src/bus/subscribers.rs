//! Who listens: the subscribers of the shared plane, by scope and filter.
//!
//! Each scope has a *slot*, which is what the router knows it by. Subscribers with the same filter are matched once; a
//! session's places are indexed, so that leaving costs what it holds, not what all hold.

use std::{collections::HashMap, sync::Arc};

use herald_acl::{TopicFilter, TopicName};

use super::{Message, SessionId, groups::Group};
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
    groups: HashMap<Arc<str>, usize>,
    sessions: HashMap<SessionId, Vec<Place>>,
}

/// One subscription of a session.
struct Place {
    filter: TopicFilter,
    slot: usize,
}

struct Scope {
    filter: TopicFilter,
    /// Filters without wildcards, by text, which is the topic.
    literal: HashMap<Arc<str>, Audience>,
    /// The others, by text.
    wild: HashMap<Arc<str>, Audience>,
    /// By text.
    groups: HashMap<Arc<str>, Group>,
}

/// Those who gave the same filter.
struct Audience {
    filter: TopicFilter,
    text: Arc<str>,
    members: HashMap<SessionId, Arc<Mailbox>>,
}

impl Subscribers {
    /// Enters a subscription, in place of one of the same session with the same filter. `false`: too many scopes are in
    /// use.
    pub(super) fn enter(
        &mut self,
        scope: &TopicFilter,
        filter: &TopicFilter,
        session: SessionId,
        mailbox: &Arc<Mailbox>,
    ) -> bool {
        self.leave(session, filter);
        let of_group = self.groups.get(filter.as_str()).copied();
        let Some(slot) = of_group.or_else(|| self.slot(scope)) else {
            return false;
        };
        self.scopes[slot].enter(filter, session, mailbox);
        if filter.is_shared() {
            self.groups.insert(filter.as_str().into(), slot);
        }
        let filter = filter.clone();
        let places = self.sessions.entry(session).or_default();
        places.push(Place { filter, slot });
        true
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

    /// Delivers a message of the scope in `slot` to all in it that it matches, and to one of each group. Answers how many
    /// older messages had to go.
    pub(super) fn deliver(&self, slot: usize, message: &Arc<Message>) -> u64 {
        let Some(scope) = self.scopes.get(slot) else {
            return 0;
        };
        let literal = scope.literal.get(message.topic.as_str());
        let wild = scope.wild.values();
        let matching = wild.filter(|a| a.filter.matches(&message.topic));
        let mut dropped = 0;
        for audience in literal.into_iter().chain(matching) {
            for mailbox in audience.members.values() {
                dropped += mailbox.deliver(Delivery {
                    filter: audience.text.clone(),
                    message: message.clone(),
                    retained: false,
                });
            }
        }
        for (text, group) in &scope.groups {
            if group.filter.matches(&message.topic)
                && let Some(mailbox) = group.next(None)
            {
                dropped += mailbox.deliver(Delivery {
                    filter: text.clone(),
                    message: message.clone(),
                    retained: false,
                });
            }
        }
        dropped
    }

    /// Gives `delivery` to another member than `from` of the group that it is for. Answers how many messages had to go.
    pub(super) fn reassign(&self, delivery: Delivery, from: SessionId) -> u64 {
        let slot = self.groups.get(&delivery.filter);
        let group = slot.and_then(|slot| self.scopes[*slot].groups.get(&delivery.filter));
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
        self.scopes[place.slot].leave(&place.filter, session);
        let text = place.filter.as_str();
        if place.filter.is_shared() && !self.scopes[place.slot].groups.contains_key(text) {
            self.groups.remove(text);
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
        if filter.is_shared() {
            self.groups
                .entry(text)
                .or_insert_with(|| Group::new(filter.clone()))
                .join(session, mailbox);
            return;
        }
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
        if filter.is_shared() {
            if let Some(group) = self.groups.get_mut(text) {
                group.leave(session);
                if group.is_empty() {
                    self.groups.remove(text);
                }
            }
            return;
        }
        let audiences = self.audiences(filter);
        if let Some(audience) = audiences.get_mut(text) {
            audience.members.remove(&session);
            if audience.members.is_empty() {
                audiences.remove(text);
            }
        }
    }

    fn audiences(&mut self, filter: &TopicFilter) -> &mut HashMap<Arc<str>, Audience> {
        if filter.is_literal() {
            &mut self.literal
        } else {
            &mut self.wild
        }
    }
}
