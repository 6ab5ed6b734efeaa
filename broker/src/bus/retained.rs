//! Retained messages: the last one of each topic that was published with the retain flag.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use herald_acl::TopicFilter;

use super::{attributes, dirty::Dirty, error::BusError};
use crate::{
    host::{RetainedChange, RetainedMessage},
    limits::{RETAINED_BYTES, RETAINED_MESSAGES},
    message::Message,
};

/// Topics saved at once.
const BATCH_TOPICS: usize = 256;

/// Bytes saved at once; one message at least.
const BATCH_BYTES: usize = 1024 * 1024;

/// What is retained now, and which of it is not saved. Bounded by count and bytes.
#[derive(Default)]
pub(super) struct Retained {
    by_topic: BTreeMap<String, Arc<Message>>,
    bytes: usize,
    dirty: Dirty,
}

/// Some topics at one moment.
pub(super) struct Part {
    topics: Vec<Arc<str>>,
    /// The number of the last change at that moment.
    at: u64,
}

impl Retained {
    /// Takes what was kept. What is no message any more is left where it is, what has expired is cleared.
    pub(super) fn load(&mut self, kept: Vec<RetainedMessage>) {
        for kept in kept {
            let topic = kept.topic.clone();
            match attributes::from_kept(kept) {
                Ok(message) if message.expired() => {
                    if self.dirty.has_room(&topic) {
                        self.dirty.note(&topic);
                    }
                }
                Ok(message) if self.has_room(self.size_of(&topic), message.size()) => {
                    self.insert(Arc::new(message));
                }
                Ok(_) => tracing::error!(topic, "too many retained messages are kept; skipped"),
                Err(e) => tracing::error!(
                    topic,
                    error = e,
                    "a stored retained message is invalid; skipped"
                ),
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
                Some(message) => RetainedChange::Set(attributes::to_kept(message)),
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

    /// Forgets what has expired, and notes that it is to be cleared.
    pub(super) fn drop_expired(&mut self) {
        let expired: Vec<_> = self
            .by_topic
            .values()
            .filter(|m| m.expired())
            .cloned()
            .collect();
        for message in expired {
            let topic = message.topic.as_str();
            if self.dirty.has_room(topic) {
                self.remove(topic);
                self.dirty.note(topic);
            }
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
        let count = self.by_topic.len() + usize::from(old == 0);
        count <= RETAINED_MESSAGES && self.bytes - old + new <= RETAINED_BYTES
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
mod tests {
    use std::time::Instant;

    use herald_acl::TopicName;

    use super::*;

    fn message(topic: &str, payload: &str) -> Arc<Message> {
        Arc::new(Message {
            topic: TopicName::parse(topic).unwrap(),
            payload: payload.to_owned().into(),
            retain: true,
            ..Message::sample()
        })
    }

    fn payloads(retained: &Retained, filter: &str) -> Vec<String> {
        retained
            .matching(&TopicFilter::parse(filter).unwrap(), None, usize::MAX)
            .iter()
            .map(|m| String::from_utf8(m.payload.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn the_last_message_of_a_topic_is_kept_until_an_empty_one_clears_it() {
        let mut retained = Retained::default();
        retained.set(&message("a/b", "1")).unwrap();
        retained.set(&message("a/b", "2")).unwrap();
        retained.set(&message("a/c", "3")).unwrap();
        assert_eq!(payloads(&retained, "a/+"), ["2", "3"]);
        retained.set(&message("a/b", "")).unwrap();
        assert_eq!(payloads(&retained, "#"), ["3"]);
        retained.set(&message("a/c", "")).unwrap();
        assert_eq!(retained.bytes, 0);
    }

    #[test]
    fn what_is_retained_can_be_read_part_by_part() {
        let mut retained = Retained::default();
        for topic in ["a", "b", "c", "d"] {
            retained.set(&message(topic, topic)).unwrap();
        }
        let all = TopicFilter::parse("#").unwrap();
        let mut after: Option<String> = None;
        let mut read = vec![];
        loop {
            let part = retained.matching(&all, after.as_deref(), 3);
            let Some(last) = part.last() else { break };
            after = Some(last.topic.as_str().to_owned());
            read.extend(part.iter().map(|m| m.topic.as_str().to_owned()));
        }
        assert_eq!(read, ["a", "b", "c", "d"]);
    }

    #[test]
    fn an_expired_message_is_not_delivered_and_makes_room() {
        let mut retained = Retained::default();
        for i in 0..RETAINED_MESSAGES {
            let mut m = (*message(&format!("t/{i}"), "x")).clone();
            m.expires = Some(Instant::now());
            retained.set(&Arc::new(m)).unwrap();
        }
        assert!(payloads(&retained, "#").is_empty());
        retained.set(&message("new", "y")).unwrap();
        assert_eq!(payloads(&retained, "#"), ["y"]);
    }

    #[test]
    fn a_message_is_taken_back_and_not_the_one_that_replaced_it() {
        let mut retained = Retained::default();
        let (old, new) = (message("a", "old"), message("a", "new"));
        retained.set(&old).unwrap();
        retained.set(&new).unwrap();
        retained.take_back(&old);
        assert_eq!(payloads(&retained, "#"), ["new"]);
        retained.take_back(&new);
        retained.take_back(&new);
        assert!(payloads(&retained, "#").is_empty());
        assert_eq!((retained.bytes, retained.last_change()), (0, 3));
    }

    #[test]
    fn past_the_bound_a_new_topic_is_refused_and_an_old_one_still_replaced() {
        let mut retained = Retained::default();
        for i in 0..RETAINED_MESSAGES {
            retained.set(&message(&format!("t/{i}"), "x")).unwrap();
        }
        assert!(retained.set(&message("new", "y")).is_err());
        retained.set(&message("t/0", "z")).unwrap();
    }
}
