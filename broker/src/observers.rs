//! Sessions that get live copies of what they have no part in: administrators who debug.

use std::sync::Arc;

use herald_acl::{TopicFilter, Username};

use crate::{
    delivery::{Delivery, Subscriber},
    ids::{SessionId, SubscriptionKey, SubscriptionKeys},
    message::Message,
};

struct Observer {
    session: SessionId,
    subscription: SubscriptionKey,
    owner: Username,
    filter: TopicFilter,
    subscriber: Arc<dyn Subscriber>,
}

/// Who observes what. Copies are dropped and counted where they do not fit: nobody ever waits for an observer.
#[derive(Default)]
pub(crate) struct Observers(Vec<Observer>);

impl Observers {
    /// Copies what `filter` matches to `subscriber` from now on.
    pub(crate) fn add(
        &mut self,
        owner: &Username,
        filter: &TopicFilter,
        (session, subscription): (SessionId, SubscriptionKey),
        subscriber: Arc<dyn Subscriber>,
    ) {
        self.remove(session, Some(filter));
        // Those of a session stand together.
        let behind = |o: &Observer| o.session <= session;
        let at = self.0.partition_point(behind);
        let observer = Observer {
            session,
            subscription,
            owner: owner.clone(),
            filter: filter.clone(),
            subscriber,
        };
        self.0.insert(at, observer);
    }

    /// Ends what [`Observers::add`] began; with `filter` `None`, all of the session's.
    pub(crate) fn remove(&mut self, session: SessionId, filter: Option<&TopicFilter>) {
        self.0
            .retain(|o| o.session != session || filter.is_some_and(|f| f != &o.filter));
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Copies `message` to all sessions that observe its topic, once, but not to those of `except`. Returns how many copies were
    /// dropped.
    pub(crate) fn copy(&self, message: &Arc<Message>, except: Option<&Username>) -> u64 {
        let mut dropped = 0;
        let same_session = |a: &Observer, b: &Observer| a.session == b.session;
        for of_session in self.0.chunk_by(same_session) {
            let matching = of_session
                .iter()
                .filter(|o| o.filter.matches(&message.topic));
            let subscriptions: SubscriptionKeys = matching.map(|o| o.subscription).collect();
            if !subscriptions.is_empty() && Some(&of_session[0].owner) != except {
                let delivery = Delivery::live(message.clone(), subscriptions);
                dropped += of_session[0].subscriber.deliver(delivery).dropped;
            }
        }
        dropped
    }
}
