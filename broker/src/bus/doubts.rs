//! Topics of which it is not known whether what is retained on them here is what was saved last.

use std::{collections::HashMap, sync::Arc};

use tokio::time::Instant;

use crate::limits::RETAINED_MESSAGES;

/// How many there may be: with more, all of it is in doubt.
const TOPICS: usize = 2 * RETAINED_MESSAGES;

/// Bounded.
#[derive(Default)]
pub(super) struct Doubts {
    topics: HashMap<Arc<str>, Doubt>,
    all: bool,
}

struct Doubt {
    /// When it is to be settled.
    due: Instant,
    /// What was saved last, as far as it is known, is what is here.
    is_confirmed: bool,
}

impl Doubts {
    /// Has `topic` be looked at when it is `due`.
    pub(super) fn add(&mut self, topic: &str, due: Instant) {
        if let Some(doubt) = self.topics.get_mut(topic) {
            doubt.due = doubt.due.max(due);
            doubt.is_confirmed = false;
        } else if self.topics.len() < TOPICS {
            let is_confirmed = false;
            self.topics
                .insert(topic.into(), Doubt { due, is_confirmed });
        } else {
            self.all = true;
        }
    }

    /// Notes whether what was saved is what is here, if `topic` is not due yet. `false`: it is not in doubt, or due.
    pub(super) fn confirm(&mut self, topic: &str, is_confirmed: bool) -> bool {
        let doubt = self.topics.get_mut(topic);
        match doubt.filter(|doubt| doubt.due > Instant::now()) {
            Some(doubt) => {
                doubt.is_confirmed = is_confirmed;
                true
            }
            None => false,
        }
    }

    /// `topic` is as it was saved. `false`: it is in doubt anew.
    pub(super) fn settle(&mut self, topic: &str) -> bool {
        let is_new = self
            .topics
            .get(topic)
            .is_some_and(|doubt| doubt.due > Instant::now());
        if !is_new {
            self.topics.remove(topic);
        }
        !is_new
    }

    /// Some that are due, of those that `may` be looked at.
    pub(super) fn due(&mut self, limit: usize, may: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        let now = Instant::now();
        self.topics
            .retain(|_, doubt| doubt.due > now || !doubt.is_confirmed);
        let due = self.topics.iter().filter(|(_, doubt)| doubt.due <= now);
        let topics = due.map(|(topic, _)| topic).filter(|topic| may(topic));
        topics.take(limit).cloned().collect()
    }

    /// Whether all was in doubt until now.
    pub(super) fn take_all(&mut self) -> bool {
        std::mem::take(&mut self.all)
    }
}
