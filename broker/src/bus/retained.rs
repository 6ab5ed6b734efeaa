//! Retained messages: the last one of each topic that was published with the retain flag.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use herald_acl::TopicFilter;
use tokio::time::Instant;

use super::{dirty::Dirty, doubts::Doubts, error::BusError, kept};
use crate::{
    host::{RetainedChange, RetainedMessage},
    limits::{RETAINED_BYTES, RETAINED_MESSAGES},
    message::Message,
};

/// Topics saved at once.
const BATCH_TOPICS: usize = 256;

/// Bytes saved at once; one message at least.
const BATCH_BYTES: usize = 1024 * 1024;

/// How long what another server has published is retained before it is known whether it was saved.
const PROVISIONAL: Duration = Duration::from_secs(2);

/// What others have saved may be so many times what may be retained here.
const OTHERS: usize = 2;

/// What is retained now, and which of it is not saved. Bounded by count and bytes.
#[derive(Default)]
pub(super) struct Retained {
    by_topic: BTreeMap<String, Arc<Message>>,
    bytes: usize,
    dirty: Dirty,
    doubts: Doubts,
}

/// Some topics at one moment.
pub(super) struct Part {
    topics: Vec<Arc<str>>,
    /// The number of the last change at that moment.
    at: u64,
}

impl Retained {
    /// Takes what was kept. What is no message any more, or has expired, is left where it is.
    pub(super) fn load(&mut self, kept: Vec<RetainedMessage>) {
        for kept in kept {
            let topic = kept.topic.clone();
            if !self.take(&topic, Some(kept)) {
                tracing::error!(topic, "too many retained messages are kept; skipped");
            }
        }
    }

    /// Makes what another server has saved, or this one, what is retained. What has changed here and is not saved yet is saved later,
    /// and wins. Returns for how many there was no room.
    pub(super) fn apply(&mut self, changes: Vec<RetainedChange>) -> u64 {
        let mut dropped = 0;
        for change in changes {
            let (topic, kept) = match change {
                RetainedChange::Set(kept) => (kept.topic.clone(), Some(kept)),
                RetainedChange::Clear { topic } => (topic, None),
            };
            if self.dirty.change_of(&topic).is_some() {
                // It may be saved by now, before this.
                self.doubts.add(&topic, Instant::now());
                continue;
            }
            let is_same = self.is_same(&topic, kept.as_ref());
            if self.doubts.confirm(&topic, is_same) {
                continue;
            }
            self.doubts.settle(&topic);
            dropped += u64::from(!self.take(&topic, kept));
        }
        dropped
    }

    /// What was saved of these topics is `kept`, and nothing else. Returns for how many there was no room.
    pub(super) fn settle(&mut self, topics: &[Arc<str>], kept: Vec<RetainedMessage>) -> u64 {
        let mut kept: BTreeMap<_, _> = kept.into_iter().map(|m| (m.topic.clone(), m)).collect();
        let mut dropped = 0;
        for topic in topics {
            if self.dirty.change_of(topic).is_none() && self.doubts.settle(topic) {
                dropped += u64::from(!self.take(topic, kept.remove(&**topic)));
            }
        }
        dropped
    }

    /// All that is saved is `kept`.
    pub(super) fn apply_all(&mut self, kept: Vec<RetainedMessage>) -> u64 {
        let topics: HashSet<_> = kept.iter().map(|m| m.topic.clone()).collect();
        let here = self.by_topic.keys();
        let gone = here.filter(|topic| !topics.contains(*topic)).cloned();
        let gone = gone.map(|topic| RetainedChange::Clear { topic });
        let changes = gone.chain(kept.into_iter().map(RetainedChange::Set));
        let changes = changes.collect();
        self.apply(changes)
    }

    /// Topics of which it is to be read what is saved.
    pub(super) fn doubtful(&mut self, limit: usize) -> Vec<Arc<str>> {
        let dirty = &self.dirty;
        self.doubts
            .due(limit, |topic| dirty.change_of(topic).is_none())
    }

    /// Whether all is to be read anew.
    pub(super) fn is_doubtful(&mut self) -> bool {
        self.doubts.take_all()
    }

    /// Takes what another server publishes, before it is known whether that is saved.
    pub(super) fn provisional(&mut self, message: &Arc<Message>) {
        let topic = message.topic.as_str();
        if self.dirty.change_of(topic).is_some() {
            return;
        }
        if message.payload.is_empty() {
            self.remove(topic);
        } else if self.has_room_for(OTHERS, self.size_of(topic), message.size()) {
            self.insert(message.clone());
        }
        self.doubts.add(topic, Instant::now() + PROVISIONAL);
    }

    /// Gives up what is not saved: others do not count on this server any more. Returns the number of the last change.
    pub(super) fn give_up(&mut self) -> u64 {
        let now = Instant::now();
        for topic in self.dirty.give_up() {
            self.doubts.add(&topic, now);
        }
        self.dirty.last()
    }

    fn is_same(&self, topic: &str, kept: Option<&RetainedMessage>) -> bool {
        match (self.by_topic.get(topic), kept) {
            (None, None) => true,
            (Some(here), Some(kept)) => kept::is_kept_as(here, kept),
            _ => false,
        }
    }

    /// Retains what was saved, or nothing. `false`: there is no room for it.
    fn take(&mut self, topic: &str, kept: Option<RetainedMessage>) -> bool {
        if self.is_same(topic, kept.as_ref()) {
            return true;
        }
        let message = kept.and_then(|kept| match kept::from_kept(kept) {
            Ok(message) => Some(message).filter(|message| !message.expired()),
            Err(e) => {
                tracing::error!(
                    topic,
                    error = e,
                    "a stored retained message is invalid; skipped"
                );
                None
            }
        });
        match message {
            Some(message) if self.has_room_for(OTHERS, self.size_of(topic), message.size()) => {
                self.insert(Arc::new(message));
                true
            }
            Some(_) => {
                self.remove(topic);
                false
            }
            None => {
                self.remove(topic);
                true
            }
        }
    }

    /// Sets, replaces, or (with an empty payload) clears the message of its topic (MQTT 5 section 3.3.1.3). Returns the
    /// number of the change that is to be saved, if there is one.
    pub(super) fn set(&mut self, message: &Arc<Message>) -> Result<Option<u64>, BusError> {
        let topic = message.topic.as_str();
        let clear = message.payload.is_empty();
        if clear && !self.by_topic.contains_key(topic) {
            return Ok(self.dirty.change_of(topic));
        }
        if !clear && !self.has_room(self.size_of(topic), message.size()) {
            self.drop_expired();
            if !self.has_room(self.size_of(topic), message.size()) {
                return Err(BusError::RetainedFull);
            }
        }
        if !self.dirty.has_room(topic) {
            return Err(BusError::Unavailable);
        }
        if clear {
            self.remove(topic);
        } else {
            self.insert(message.clone());
        }
        Ok(Some(self.dirty.note(topic)))
    }

    /// Forgets `message`, if it is still the one of its topic.
    ///
    /// It is noted whatever else waits to be saved. Nothing new can be retained while there is no room for that, so as many
    /// may come on top as were retained, and no more.
    pub(super) fn take_back(&mut self, message: &Arc<Message>) {
        let topic = message.topic.as_str();
        let retained = self.by_topic.get(topic);
        if retained.is_some_and(|m| Arc::ptr_eq(m, message)) {
            self.remove(topic);
            self.dirty.note(topic);
        }
    }

    /// The number of the last change.
    pub(super) fn last_change(&self) -> u64 {
        self.dirty.last()
    }

    /// What is to be saved next, by age; `None`: nothing.
    pub(super) fn unsaved(&self) -> Option<(Part, Vec<RetainedChange>)> {
        let mut part = Part {
            topics: vec![],
            at: self.dirty.last(),
        };
        let mut changes = vec![];
        let mut bytes = 0;
        for topic in self.dirty.oldest().take(BATCH_TOPICS) {
            let message = self.by_topic.get(&**topic).filter(|m| !m.expired());
            bytes += message.map_or(topic.len(), |m| m.size());
            if bytes > BATCH_BYTES && !part.topics.is_empty() {
                break;
            }
            part.topics.push(topic.clone());
            changes.push(match message {
                Some(message) => RetainedChange::Set(kept::to_kept(message)),
                None => RetainedChange::Clear {
                    topic: topic.as_ref().to_owned(),
                },
            });
        }
        (!part.topics.is_empty()).then_some((part, changes))
    }

    /// `saved` is. Returns up to which number all changes are.
    pub(super) fn saved(&mut self, saved: &Part) -> u64 {
        self.dirty.saved(&saved.topics, saved.at);
        self.dirty.settled()
    }

    /// Forgets what has expired. Whoever keeps it sees that, too.
    pub(super) fn drop_expired(&mut self) {
        let expired = self.by_topic.values().filter(|m| m.expired());
        let expired: Vec<_> = expired.cloned().collect();
        for message in expired {
            self.remove(message.topic.as_str());
        }
    }

    /// The first `limit` that `filter` matches and that have not expired, by topic, of the topics after `after`.
    pub(super) fn matching(
        &self,
        filter: &TopicFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Message>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_topic
            .range::<str, _>((from, Bound::Unbounded))
            .map(|(_, m)| m)
            .filter(|m| filter.matches(&m.topic) && !m.expired())
            .take(limit)
            .cloned()
            .collect()
    }

    /// The first `limit` of the topics after `after`, expired or not.
    pub(super) fn part(&self, after: Option<&str>, limit: usize) -> Vec<Arc<Message>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let topics = self.by_topic.range::<str, _>((from, Bound::Unbounded));
        topics.map(|(_, m)| m).take(limit).cloned().collect()
    }

    /// For a message of `new` bytes in place of one of `old`, 0 for none.
    fn has_room(&self, old: usize, new: usize) -> bool {
        self.has_room_for(1, old, new)
    }

    /// The same, where there may be so many times as much.
    fn has_room_for(&self, times: usize, old: usize, new: usize) -> bool {
        let count = self.by_topic.len() + usize::from(old == 0);
        count <= times * RETAINED_MESSAGES && self.bytes - old + new <= times * RETAINED_BYTES
    }

    /// The size of the message of `topic`, 0 for none.
    fn size_of(&self, topic: &str) -> usize {
        self.by_topic.get(topic).map_or(0, |m| m.size())
    }

    fn insert(&mut self, message: Arc<Message>) {
        self.bytes += message.size();
        let topic = message.topic.as_str().to_owned();
        if let Some(old) = self.by_topic.insert(topic, message) {
            self.bytes -= old.size();
        }
    }

    fn remove(&mut self, topic: &str) {
        if let Some(old) = self.by_topic.remove(topic) {
            self.bytes -= old.size();
        }
    }
}

#[cfg(test)]
mod tests;
