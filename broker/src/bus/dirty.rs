//! Which topics' retained messages have changed and are not saved yet, and since when.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::limits::RETAINED_MESSAGES;

/// Topics that wait to be saved: all may expire at once, and others take their place.
const TOPICS: usize = 2 * RETAINED_MESSAGES;

/// Bytes of their names.
const BYTES: usize = 16 * 1024 * 1024;

/// Numbers the changes, 1, 2, 3... Bounded.
#[derive(Default)]
pub(super) struct Dirty {
    /// The number of the last change.
    last: u64,
    topics: HashMap<Arc<str>, Changed>,
    /// The topics by their first change that is not saved.
    by_age: BTreeSet<(u64, Arc<str>)>,
    bytes: usize,
}

/// The first and the last change of a topic that are not saved.
struct Changed {
    first: u64,
    last: u64,
}

impl Dirty {
    /// Whether a change of `topic` can be noted.
    pub(super) fn has_room(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
            || (self.topics.len() < TOPICS && self.bytes + topic.len() <= BYTES)
    }

    /// Notes a change of `topic`, for which there should be room, and returns its number.
    pub(super) fn note(&mut self, topic: &str) -> u64 {
        self.last += 1;
        match self.topics.get_mut(topic) {
            Some(changed) => changed.last = self.last,
            None => {
                let topic: Arc<str> = topic.into();
                self.bytes += topic.len();
                self.by_age.insert((self.last, topic.clone()));
                let (first, last) = (self.last, self.last);
                self.topics.insert(topic, Changed { first, last });
            }
        }
        self.last
    }

    /// The last change of `topic`, if it is not saved.
    pub(super) fn change_of(&self, topic: &str) -> Option<u64> {
        self.topics.get(topic).map(|changed| changed.last)
    }

    /// Gives up what is not saved: it will not be. Returns its topics.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = Arc<str>> + use<> {
        self.by_age.clear();
        self.bytes = 0;
        std::mem::take(&mut self.topics).into_keys()
    }

    /// The number of the last change.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The topics, those that have waited longest first.
    pub(super) fn oldest(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_age.iter().map(|(_, topic)| topic)
    }

    /// The state of `topics` after the change with number `at` is saved.
    pub(super) fn saved(&mut self, topics: &[Arc<str>], at: u64) {
        for topic in topics {
            let Some(changed) = self.topics.get_mut(topic) else {
                continue;
            };
            self.by_age.remove(&(changed.first, topic.clone()));
            if changed.last > at {
                // It changed meanwhile, at the earliest with the next number.
                changed.first = at + 1;
                self.by_age.insert((changed.first, topic.clone()));
            } else {
                self.topics.remove(topic);
                self.bytes -= topic.len();
            }
        }
    }

    /// All changes up to this number are saved.
    pub(super) fn settled(&self) -> u64 {
        match self.by_age.first() {
            Some((first, _)) => first - 1,
            None => self.last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oldest(dirty: &Dirty) -> Vec<Arc<str>> {
        dirty.oldest().cloned().collect()
    }

    #[test]
    fn a_change_is_settled_once_it_and_all_before_it_are_saved() {
        let mut dirty = Dirty::default();
        assert_eq!(["a", "b", "a"].map(|t| dirty.note(t)), [1, 2, 3]);
        assert_eq!((dirty.settled(), oldest(&dirty).len()), (0, 2));
        dirty.saved(&["b".into()], 3);
        assert_eq!(dirty.settled(), 0);
        dirty.saved(&["a".into()], 3);
        assert_eq!((dirty.settled(), dirty.change_of("a")), (3, None));
        assert_eq!(dirty.bytes, 0);
    }

    #[test]
    fn a_change_during_a_save_waits_for_the_next() {
        let mut dirty = Dirty::default();
        dirty.note("a");
        let (taken, at) = (oldest(&dirty), dirty.last());
        dirty.note("b");
        dirty.note("a");
        dirty.saved(&taken, at);
        assert_eq!(dirty.settled(), 1);
        assert_eq!(dirty.change_of("a"), Some(3));
        // In the order of age, so that none waits for ever.
        assert_eq!(oldest(&dirty).len(), 2);
        dirty.saved(&["a".into(), "b".into()], 3);
        assert_eq!(dirty.settled(), 3);
    }

    #[test]
    fn topics_that_wait_are_bounded_by_count_and_bytes() {
        let mut dirty = Dirty::default();
        for i in 0..TOPICS {
            assert!(dirty.has_room(&i.to_string()));
            dirty.note(&i.to_string());
        }
        assert!(dirty.has_room("0") && !dirty.has_room("new"));
        let mut dirty = Dirty::default();
        dirty.note(&"x".repeat(BYTES - 1));
        assert!(dirty.has_room("y") && !dirty.has_room("yy"));
    }
}
