//! The shared plane: who gets a message that is published to a shared topic, and what is retained.
//!
//! Publishers put messages into a queue. One task hands them to a [relay], takes what comes back, and delivers it by the
//! filters that the ACL granted: to each session once, whichever of its filters match. The relay never sees what is in a
//! message, and nothing here knows what a session is: see [`Subscriber`].

mod attributes;
mod dirty;
mod embedded;
mod error;
mod forgotten;
mod groups;
mod relay;
mod retained;
mod saver;
mod subscriptions;
#[cfg(test)]
mod tests;
mod trie;

use std::{sync::Arc, time::Duration};

use herald_acl::{OwnTopics, TopicFilter};
use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    delivery::{Delivery, Subscriber},
    host::Retain,
    ids::SessionId,
    message::Message,
    metrics::Metrics,
    watched::watched,
};

use embedded::{Embedded, Router};
pub(crate) use error::BusError;
use forgotten::Forgotten;
use relay::Relay;
use saver::RetainedStore;
pub(crate) use saver::Saving;
pub(crate) use subscriptions::Subscription;
use subscriptions::Subscriptions;

/// Messages accepted and not yet handed to the relay.
const QUEUE: usize = 1024;

/// How long a session that [is behind](crate::delivery::Outcome::is_behind) is given.
const TURN: Duration = Duration::from_millis(1);

/// How long a publisher waits at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// The shared plane of one broker.
pub(crate) struct Bus {
    subscriptions: Arc<RwLock<Subscriptions>>,
    kept: RetainedStore,
    forgotten: Forgotten,
    queue: mpsc::Sender<Arc<Message>>,
    /// The number of the last message that entered the queue. It is held while one enters: what is retained is in order with
    /// what is on its way, and a subscription knows which of both came before it.
    last: Mutex<u64>,
    /// The router that runs.
    router: watch::Receiver<Option<Router>>,
    tasks: TaskTracker,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
}

impl Bus {
    /// Loads what `retain` kept, and starts the relay, the task that passes messages through it and the one that saves.
    /// `crashed` is cancelled if one of them panics.
    pub(crate) async fn start(
        metrics: Arc<Metrics>,
        retain: Arc<dyn Retain>,
        crashed: &CancellationToken,
    ) -> Result<Self, BusError> {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (kept, save) = RetainedStore::load(retain, stop.clone())
            .await
            .map_err(|e| {
                tracing::error!(error = %e, "retained messages cannot be loaded");
                BusError::Unavailable
            })?;
        let (relay, router) = Embedded::start(metrics.clone())
            .await
            .map_err(|_| BusError::Unavailable)?;
        let subscriptions = Arc::<RwLock<Subscriptions>>::default();
        let (queue, messages) = mpsc::channel(QUEUE);
        let pass = pass(relay, messages, subscriptions.clone(), metrics.clone());
        let pass = stop.clone().run_until_cancelled_owned(pass);
        tasks.spawn(watched(save, crashed.clone()));
        tasks.spawn(watched(pass, crashed.clone()));
        Ok(Self {
            subscriptions,
            kept,
            forgotten: Forgotten::default(),
            queue,
            last: Mutex::new(0),
            router,
            tasks,
            stop,
            metrics,
        })
    }

    /// Publishes `message` to all who subscribed, and makes it its topic's retained message if it is to be. That is not
    /// durable before the [`Saving`] is [done](Saving::done), nor need its sender wait: the order is that of the calls.
    pub(crate) async fn publish(&self, mut message: Message) -> Result<Option<Saving>, BusError> {
        let room = match self.queue.try_reserve() {
            Ok(room) => room,
            Err(_) => timeout(PATIENCE, self.queue.reserve())
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or(BusError::Unavailable)?,
        };
        let mut last = self.last.lock();
        message.seq = *last + 1;
        let message = Arc::new(message);
        let saving = if message.retain {
            self.kept.set(&message)?
        } else {
            None
        };
        // Only now: what `forget` did not find in its place, this does.
        if self.forgotten.contains(message.origin) {
            self.kept.take_back(&message);
            return Err(BusError::Unavailable);
        }
        *last = message.seq;
        room.send(message);
        Ok(saving)
    }

    /// Delivers what matches the subscription's filter to `subscriber` from now on, whether or not a router runs: messages
    /// wait for it. Returns the number of the last message that came before.
    pub(crate) fn subscribe(
        &self,
        subscription: &Subscription<'_>,
        subscriber: Arc<dyn Subscriber>,
    ) -> u64 {
        let mut subscriptions = self.subscriptions.write();
        // What has a higher number is not delivered before the lock is released.
        let last = *self.last.lock();
        subscriptions.enter(subscription, subscriber, last);
        last
    }

    /// Ends what [`Bus::subscribe`] began; with `filter` `None`, all of the session's.
    pub(crate) fn unsubscribe(&self, session: SessionId, filter: Option<&TopicFilter>) {
        let mut subscriptions = self.subscriptions.write();
        match filter {
            Some(filter) => subscriptions.leave(session, filter),
            None => subscriptions.leave_all(session),
        }
    }

    /// Forgets what is retained on the topics that are `own` of a user who is gone, and publishes nothing.
    /// That is not durable before the [`Saving`] is [done](Saving::done). The user's `sessions`, until they have
    /// [ended](Bus::ended), publish nothing more and hand nothing of the user's own on.
    pub(crate) fn forget(&self, own: OwnTopics, sessions: Vec<SessionId>) -> Saving {
        let own = Arc::new(own);
        self.forgotten.add(sessions, &own);
        self.kept.forget(&own)
    }

    /// `session` has ended.
    pub(crate) fn ended(&self, session: SessionId) {
        self.forgotten.remove(session);
    }

    /// Gives what `from` could not finish to another member of its group; drops and counts it if there is none.
    pub(crate) fn reassign(&self, delivery: Delivery, from: SessionId) {
        let dropped = if self.forgotten.owned(from, &delivery.message.topic) {
            1
        } else {
            self.subscriptions.read().reassign(delivery, from)
        };
        self.metrics.shared_dropped.add(dropped);
    }

    /// The first `limit` retained messages that `filter` matches, by topic, of the topics after `after`.
    pub(crate) fn retained(
        &self,
        filter: &TopicFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Message>> {
        self.kept.matching(filter, after, limit)
    }

    /// Whether messages are handed to a router right now.
    pub(crate) fn is_ready(&self) -> bool {
        !self.queue.is_closed() && self.router.borrow().is_some()
    }

    /// Ends the tasks; what is retained and not saved is, if that does not take too long. The
    /// router's thread stays, with nothing to do, until the process ends.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Passes messages through `relay`, and delivers what comes out of it. Ends only when nobody can send messages any more.
async fn pass(
    mut relay: impl Relay,
    mut messages: mpsc::Receiver<Arc<Message>>,
    subscriptions: Arc<RwLock<Subscriptions>>,
    metrics: Arc<Metrics>,
) {
    // The next to be handed over.
    let mut next = None;
    loop {
        while let Some(message) = next.take().or_else(|| messages.try_recv().ok()) {
            if let Err(no_room) = relay.hand_over(message) {
                next = Some(no_room);
                break;
            }
        }
        tokio::select! {
            message = relay.receive() => {
                let outcome = subscriptions.read().deliver(&message);
                metrics.shared_dropped.add(outcome.dropped);
                if outcome.is_behind {
                    // That its mailbox does not overflow before it has its turn.
                    sleep(TURN).await;
                } else {
                    // The relay may never make a task yield.
                    tokio::task::coop::consume_budget().await;
                }
            }
            message = messages.recv(), if next.is_none() => match message {
                Some(message) => {
                    next = Some(message);
                    // Others who have something to publish just now do so first: a relay is quicker with many at once.
                    tokio::task::yield_now().await;
                }
                None => return,
            },
        }
    }
}
