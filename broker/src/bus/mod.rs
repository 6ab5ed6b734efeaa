//! The shared plane: live topics routed by an embedded `rumqttd`, retained messages kept here.
//!
//! `rumqttd` never sees a client: no client id, topic, filter, will, property or acknowledgement of one. What it knows is
//! one local link to publish through and one for each *scope*: the widest filter that an allow rule of the ACL stands for.
//! So what clients do cannot make it grow. Which subscriber of a scope gets a message is decided here, by the filter that
//! the ACL granted. If the router dies nonetheless, the [supervisor] puts another in its place.

mod dirty;
mod forgotten;
mod frame;
mod groups;
mod message;
mod retained;
mod router;
mod saver;
mod subscribers;
mod supervisor;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use herald_acl::{OwnTopics, TopicFilter, Username};
use parking_lot::RwLock;
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        watch,
    },
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{host::Retain, mailbox::Delivery, mailbox::Mailbox, metrics::Metrics};

use forgotten::Forgotten;
pub(crate) use groups::GroupId;
pub(crate) use message::Message;
use router::Router;
use saver::Kept;
pub(crate) use saver::Saving;
use subscribers::Subscribers;
use supervisor::{Links, Supervisor};

/// Messages accepted and not yet handed to the router.
const QUEUE: usize = 1024;

/// How long a publisher waits at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names a session within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId(u64);

impl SessionId {
    /// No session: the broker itself.
    pub(crate) const BROKER: Self = Self(0);

    /// A number never used before.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The number.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// The session with this [number](Self::number), if there is one.
    pub(crate) fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// Why the bus did not take something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BusError {
    #[error("too many retained messages, or too large")]
    RetainedFull,
    #[error("shared topics are not available right now")]
    Unavailable,
}

/// The shared plane of one broker.
pub(crate) struct Bus {
    subscribers: Arc<RwLock<Subscribers>>,
    kept: Kept,
    forgotten: Forgotten,
    queue: mpsc::Sender<Arc<Message>>,
    /// The router that runs.
    router: watch::Receiver<Option<Router>>,
    tasks: TaskTracker,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
}

impl Bus {
    /// Loads what `retain` kept, and starts the router, the task that publishes to it and the one that saves.
    pub(crate) async fn start(
        metrics: Arc<Metrics>,
        retain: Arc<dyn Retain>,
    ) -> Result<Self, BusError> {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (kept, save) = Kept::load(retain, stop.clone()).await.map_err(|e| {
            tracing::error!(error = %e, "retained messages cannot be loaded");
            BusError::Unavailable
        })?;
        let subscribers = Arc::<RwLock<Subscribers>>::default();
        let links = Links {
            subscribers: subscribers.clone(),
            metrics: metrics.clone(),
        };
        let (queue, messages) = mpsc::channel(QUEUE);
        let (supervise, router) = Supervisor::start(messages, links)
            .await
            .map_err(|_| BusError::Unavailable)?;
        tasks.spawn(save);
        tasks.spawn(stop.clone().run_until_cancelled_owned(supervise));
        Ok(Self {
            subscribers,
            kept,
            forgotten: Forgotten::default(),
            queue,
            router,
            tasks,
            stop,
            metrics,
        })
    }

    /// Publishes `message` to all who subscribed, and makes it its topic's retained message if it is to be. That is not
    /// durable before what is answered is [done](Saving::done), nor need its sender wait: the order is that of the calls.
    pub(crate) async fn publish(&self, message: Message) -> Result<Option<Saving>, BusError> {
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
        match self.queue.try_send(message) {
            Ok(()) => Ok(saving),
            Err(TrySendError::Full(message)) => timeout(PATIENCE, self.queue.send(message))
                .await
                .ok()
                .and_then(Result::ok)
                .map(|()| saving)
                .ok_or(BusError::Unavailable),
            Err(TrySendError::Closed(_)) => Err(BusError::Unavailable),
        }
    }

    /// Delivers what matches `filter` to `mailbox` from now on, whether or not a router runs: messages wait for it. `scope`
    /// is what the rule that allows it stands for. A shared filter (`$share/{name}/{filter}`) makes the session a member of
    /// the group of `owner`; without one, of the group that is open.
    pub(crate) fn subscribe(
        &self,
        scope: &TopicFilter,
        filter: &TopicFilter,
        owner: Option<&Username>,
        session: SessionId,
        mailbox: &Arc<Mailbox>,
    ) -> Result<(), BusError> {
        debug_assert!(scope.covers(filter));
        if self
            .subscribers
            .write()
            .enter(scope, filter, owner, session, mailbox)
        {
            Ok(())
        } else {
            tracing::error!("rules of too many scopes are in use");
            Err(BusError::Unavailable)
        }
    }

    /// Ends what [`Bus::subscribe`] began; with `filter` `None`, all of the session's.
    pub(crate) fn unsubscribe(&self, session: SessionId, filter: Option<&TopicFilter>) {
        let mut subscribers = self.subscribers.write();
        match filter {
            Some(filter) => subscribers.leave(session, filter),
            None => subscribers.leave_all(session),
        }
    }

    /// Forgets what is retained on the topics that are `own` of a user who is gone, without a word to those who subscribed.
    /// That is not durable before what is answered is [done](Saving::done). The user's `sessions`, until they have
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
            self.subscribers.read().reassign(delivery, from)
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
