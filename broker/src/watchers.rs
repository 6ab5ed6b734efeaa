//! Sessions that get live copies of what they have no part in: administrators who debug.

use std::sync::Arc;

use herald_acl::{TopicFilter, Username};

use crate::{
    bus::{Delivery, Message, SessionId, Subscriber as _, SubscriptionKey, SubscriptionKeys},
    mailbox::Mailbox,
};

struct Watcher {
    session: SessionId,
    subscription: SubscriptionKey,
    owner: Username,
    filter: TopicFilter,
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
        (session, subscription): (SessionId, SubscriptionKey),
        mailbox: &Arc<Mailbox>,
    ) {
        self.remove(session, Some(filter));
        // Those of a session stand together.
        let behind = |w: &Watcher| w.session <= session;
        let at = self.0.partition_point(behind);
        let watcher = Watcher {
            session,
            subscription,
            owner: owner.clone(),
            filter: filter.clone(),
            mailbox: mailbox.clone(),
        };
        self.0.insert(at, watcher);
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

    /// Copies `message` to all sessions that watch its topic, once, but not to those of `except`. Returns how many copies were
    /// dropped.
    pub(crate) fn copy(&self, message: &Arc<Message>, except: Option<&Username>) -> u64 {
        let mut dropped = 0;
        let same_session = |a: &Watcher, b: &Watcher| a.session == b.session;
        for of_session in self.0.chunk_by(same_session) {
            let matching = of_session
                .iter()
                .filter(|w| w.filter.matches(&message.topic));
            let subscriptions: SubscriptionKeys = matching.map(|w| w.subscription).collect();
            if !subscriptions.is_empty() && Some(&of_session[0].owner) != except {
                let delivery = Delivery::live(message.clone(), subscriptions);
                dropped += of_session[0].mailbox.deliver(delivery);
            }
        }
        dropped
    }
}
