//! Retained messages: the last one of each topic that was published with the retain flag.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use herald_acl::TopicFilter;

use super::{BusError, Message};
use crate::limits::{RETAINED_BYTES, RETAINED_MESSAGES};

/// Bounded by count and bytes.
#[derive(Default)]
pub(super) struct Retained {
    by_topic: BTreeMap<String, Arc<Message>>,
    bytes: usize,
}

impl Retained {
    /// Sets, replaces, or (with an empty payload) clears the message of its topic (MQTT 5 section 3.3.1.3).
    pub(super) fn set(&mut self, message: &Arc<Message>) -> Result<(), BusError> {
        let topic = message.topic.as_str();
        let old = self.by_topic.get(topic).map_or(0, |m| m.size());
        if message.payload.is_empty() {
            self.by_topic.remove(topic);
            self.bytes -= old;
            return Ok(());
        }
        if !self.has_room(old, message.size()) {
            self.drop_expired();
        }
        let old = self.by_topic.get(topic).map_or(0, |m| m.size());
        if !self.has_room(old, message.size()) {
            return Err(BusError::RetainedFull);
        }
        let bytes = self.bytes - old + message.size();
        self.by_topic.insert(topic.to_owned(), message.clone());
        self.bytes = bytes;
        Ok(())
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

    /// For a message of `new` bytes in place of one of `old`, 0 for none.
    fn has_room(&self, old: usize, new: usize) -> bool {
        let count = self.by_topic.len() + usize::from(old == 0);
        count <= RETAINED_MESSAGES && self.bytes - old + new <= RETAINED_BYTES
    }

    fn drop_expired(&mut self) {
        let bytes = &mut self.bytes;
        self.by_topic.retain(|_, m| {
            if m.expired() {
                *bytes -= m.size();
            }
            !m.expired()
        });
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
    fn past_the_bound_a_new_topic_is_refused_and_an_old_one_still_replaced() {
        let mut retained = Retained::default();
        for i in 0..RETAINED_MESSAGES {
            retained.set(&message(&format!("t/{i}"), "x")).unwrap();
        }
        assert!(retained.set(&message("new", "y")).is_err());
        retained.set(&message("t/0", "z")).unwrap();
    }
}
