//! Sessions that get live copies of what they have no part in: administrators who debug.

use std::sync::Arc;

use herald_acl::{TopicFilter, Username};

use crate::{
    bus::{Message, SessionId},
    mailbox::{Delivery, Mailbox},
};

struct Watcher {
    session: SessionId,
    owner: Username,
    filter: TopicFilter,
    text: Arc<str>,
    mailbox: Arc<Mailbox>,
}

/// Who watches what. Copies are dropped and counted where they do not fit: nobody ever waits for a watcher.
#[derive(Default)]
pub(crate) struct Watchers(Vec<Watcher>);

impl Watchers {
    /// Copies what `filter` matches to `mailbox` from now on.
    pub(crate) fn add(
        &mut self,
        owner: &Username,
        filter: &TopicFilter,
        session: SessionId,
        mailbox: &Arc<Mailbox>,
    ) {
        self.remove(session, Some(filter));
        self.0.push(Watcher {
            session,
            owner: owner.clone(),
            filter: filter.clone(),
            text: filter.as_str().into(),
            mailbox: mailbox.clone(),
        });
    }

    /// Ends what [`Watchers::add`] began; with `filter` `None`, all of the session's.
    pub(crate) fn remove(&mut self, session: SessionId, filter: Option<&TopicFilter>) {
        self.0
            .retain(|w| w.session != session || filter.is_some_and(|f| f != &w.filter));
    }

    /// Whether nobody watches.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Copies `message` to all who watch its topic, but not to the sessions of `except`. Answers how many copies were dropped.
    pub(crate) fn copy(&self, message: &Arc<Message>, except: Option<&Username>) -> u64 {
        let mut dropped = 0;
        for w in self.0.iter().filter(|w| Some(&w.owner) != except) {
            if w.filter.matches(&message.topic) {
                dropped += w.mailbox.deliver(Delivery {
                    filter: w.text.clone(),
                    message: message.clone(),
                    retained: false,
                    group: None,
                });
            }
        }
        dropped
    }
}
