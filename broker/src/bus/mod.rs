//! The shared plane: who gets a message that is published to a shared topic, and what is retained.
//!
//! Publishers put messages into a queue. One task hands them to a [relay], takes what comes back, and delivers it by the
//! filters that the ACL granted: to each session once, whichever of its filters match. The relay never sees what is in a
//! message, and nothing here knows what a session is: see [`Subscriber`]. Where there are several servers, what is published at
//! one is sent to the others, whose publishers it comes from as it does from those here.

mod dirty;
mod doubts;
mod embedded;
mod error;
mod forgotten;
mod frames;
mod groups;
mod handed;
mod kept;
mod neighbourhood;
mod pass;
mod relay;
mod retained;
mod saver;
mod subscriptions;
#[cfg(test)]
mod tests;
mod trie;

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use herald_acl::{OwnTopics, TopicFilter, Username};
use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    delivery::{Delivery, Subscriber},
    host::Retain,
    ids::SessionId,
    message::Message,
    metrics::Metrics,
    neighbours::Neighbours,
    watched::watched,
    wire::Qos,
};

use embedded::{Embedded, Router};
pub(crate) use error::BusError;
use forgotten::Forgotten;
pub(crate) use frames::Copies;
use frames::{Frame, FromNeighbour};
pub(crate) use handed::Handed;
pub(crate) use neighbourhood::Neighbourhood;
use pass::{Chosen, Passer, Passing, Source};
pub(crate) use saver::{RetainedStore, Saving};
pub(crate) use subscriptions::Subscription;
use subscriptions::Subscriptions;

/// Messages accepted and not yet handed to the relay.
const QUEUE: usize = 1024;

/// How long a publisher waits at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// How old what another server has published may be.
const FRESH: Duration = Duration::from_secs(5);

/// The shared plane of one broker.
pub(crate) struct Bus {
    subscriptions: Arc<RwLock<Subscriptions>>,
    kept: RetainedStore,
    forgotten: Forgotten,
    queue: mpsc::Sender<Passing>,
    /// The number of the last message that entered the queue. It is held while one enters: what is retained is in order with
    /// what is on its way, and a subscription knows which of both came before it.
    last: Mutex<u64>,
    /// The router that runs.
    router: watch::Receiver<Option<Router>>,
    neighbourhood: Option<Arc<Neighbourhood>>,
    tasks: TaskTracker,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
}

/// A live copy from another server, for those here who want such: with what is to be told of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Copy {
    /// What became of a message of the user with this key and name.
    Progress(String, Username, Bytes),
    /// The same for all who follow anyone.
    ProgressOfAll(Bytes),
    /// A notification of this user.
    Notified(Username, Bytes),
}

impl Bus {
    /// Loads what `retain` kept, and starts the relay, the task that passes messages through it and the one that saves.
    /// `crashed` is cancelled if one of them panics. `neighbours` carries what is published to the other servers, if there can
    /// be any.
    pub(crate) async fn start(
        metrics: Arc<Metrics>,
        retain: Arc<dyn Retain>,
        neighbours: Option<Arc<dyn Neighbours>>,
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
        let neighbourhood = neighbours.map(|carrier| Arc::new(Neighbourhood::new(carrier)));
        if let Some(neighbours) = &neighbourhood {
            let (neighbours, subscriptions) = (neighbours.clone(), subscriptions.clone());
            let tell = async move { neighbours.run(&subscriptions).await };
            let tell = stop.clone().run_until_cancelled_owned(tell);
            tasks.spawn(watched(tell, crashed.clone()));
        }
        let passer = Passer {
            subscriptions: subscriptions.clone(),
            neighbourhood: neighbourhood.clone(),
            metrics: metrics.clone(),
        };
        let pass = passer.run(relay, messages);
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
            neighbourhood,
            tasks,
            stop,
            metrics,
        })
    }

    /// Publishes `message` to all who subscribed, and makes it its topic's retained message if it is to be. That is not
    /// durable, nor safe from a crash of this server, before what is returned is [done](Handed::done), nor need its sender wait: the
    /// order is that of the calls.
    pub(crate) async fn publish(&self, message: Message) -> Result<Handed, BusError> {
        let room = self.room().await?;
        let neighbours = self.neighbourhood.as_ref();
        // What may be lost is not waited for.
        let is_awaited =
            message.qos != Qos::AtMostOnce && neighbours.is_some_and(|n| n.are_there());
        let (taken, relayed) = is_awaited.then(oneshot::channel).unzip();
        let saving = self.enter(message, Source::Here(taken), room, |message| {
            let saving = match message.retain {
                true => self.kept.set(message)?,
                false => None,
            };
            // Only now: what `forget` did not find in its place, this does.
            if self.forgotten.contains(message.origin) {
                self.kept.take_back(message);
                return Err(BusError::Unavailable);
            }
            Ok(saving)
        })?;
        Ok(Handed::new(saving, relayed))
    }

    /// Takes a frame that the server with this name has sent. Returns the copy that it is, if it is one.
    pub(crate) async fn receive(&self, server: &Arc<str>, frame: &Bytes) -> Option<Copy> {
        let neighbours = self.neighbourhood.as_ref()?;
        let (frame, payload) = frames::parse(frame)?;
        match frame {
            Frame::Published(published) => {
                let published = published.message(payload, neighbours.now())?;
                self.published_elsewhere(neighbours, published).await;
            }
            Frame::Interests(interests) => {
                neighbours.told(server, interests, &self.subscriptions);
            }
            Frame::Ask => neighbours.asked(),
            Frame::Progress { user_id, username } => {
                let username = Username::parse(&username).ok()?;
                return Some(Copy::Progress(user_id.into_owned(), username, payload));
            }
            Frame::ProgressOfAll => return Some(Copy::ProgressOfAll(payload)),
            Frame::Notified { username } => {
                return Some(Copy::Notified(Username::parse(&username).ok()?, payload));
            }
        }
        None
    }

    async fn published_elsewhere(&self, neighbours: &Neighbourhood, from: FromNeighbour) {
        let groups = neighbours.own(&from.groups);
        if from.again && groups.is_empty() {
            return;
        }
        // What waited for so long may not fit into what is there now.
        if neighbours.now() > from.at + FRESH {
            self.metrics.shared_dropped.add(1);
            return;
        }
        let Ok(room) = self.room().await else {
            self.metrics.shared_dropped.add(1);
            return;
        };
        let source = Source::Neighbour(Box::new(Chosen {
            groups,
            only: from.again,
        }));
        let at = from.at;
        let entered = self.enter(from.message, source, room, |message| {
            match self.forgotten.owned_elsewhere(&message.topic, at) {
                true => Err(BusError::Unavailable),
                false => {
                    if message.retain {
                        self.kept.provisional(message);
                    }
                    Ok(())
                }
            }
        });
        if entered.is_err() {
            self.metrics.shared_dropped.add(1);
        }
    }

    async fn room(&self) -> Result<mpsc::Permit<'_, Passing>, BusError> {
        match self.queue.try_reserve() {
            Ok(room) => Ok(room),
            Err(_) => timeout(PATIENCE, self.queue.reserve())
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or(BusError::Unavailable),
        }
    }

    /// Gives `message` the next number and puts it into `room`, if `check` lets it.
    fn enter<T>(
        &self,
        mut message: Message,
        source: Source,
        room: mpsc::Permit<'_, Passing>,
        check: impl FnOnce(&Arc<Message>) -> Result<T, BusError>,
    ) -> Result<T, BusError> {
        let mut last = self.last.lock();
        message.seq = *last + 1;
        let message = Arc::new(message);
        let checked = check(&message)?;
        *last = message.seq;
        room.send(Passing { message, source });
        Ok(checked)
    }

    /// The servers with these names are there, and no others.
    pub(crate) fn know(&self, servers: HashSet<Arc<str>>) {
        if let Some(neighbours) = &self.neighbourhood {
            neighbours.know(servers, &self.subscriptions);
        }
    }

    /// Frames of other servers may be missing.
    pub(crate) fn missed(&self) {
        if let Some(neighbours) = &self.neighbourhood {
            neighbours.missed();
        }
    }

    /// The other servers, if there can be any.
    pub(crate) fn neighbourhood(&self) -> Option<&Neighbourhood> {
        self.neighbourhood.as_deref()
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
        drop(subscriptions);
        self.groups_changed();
        last
    }

    /// Ends what [`Bus::subscribe`] began; with `filter` `None`, all of the session's.
    pub(crate) fn unsubscribe(&self, session: SessionId, filter: Option<&TopicFilter>) {
        let mut subscriptions = self.subscriptions.write();
        match filter {
            Some(filter) => subscriptions.leave(session, filter),
            None => subscriptions.leave_all(session),
        }
        drop(subscriptions);
        self.groups_changed();
    }

    /// The session has a connection now, or none any more.
    pub(crate) fn presence_changed(&self, session: SessionId) {
        let neighbours = self.neighbourhood.as_ref();
        if neighbours.is_some_and(|n| n.are_there()) {
            self.subscriptions.write().presence_changed(session);
            self.groups_changed();
        }
    }

    fn groups_changed(&self) {
        if let Some(neighbours) = &self.neighbourhood {
            neighbours.groups_changed();
        }
    }

    /// Forgets what is retained on the topics that are `own` of a user who is gone, and publishes nothing.
    /// That is not durable before the [`Saving`] is [done](Saving::done). The user's `sessions`, until they have
    /// [ended](Bus::ended), publish nothing more and hand nothing of the user's own on.
    pub(crate) fn forget(&self, own: OwnTopics, sessions: Vec<SessionId>) -> Saving {
        let own = Arc::new(own);
        self.forgotten.add(sessions, &own);
        if let Some(neighbours) = &self.neighbourhood {
            self.forgotten.add_elsewhere(&own, neighbours.now());
        }
        self.kept.forget(&own)
    }

    /// `session` has ended.
    pub(crate) fn ended(&self, session: SessionId) {
        self.forgotten.remove(session);
    }

    /// Gives what `from` could not finish to another member of its group; drops and counts it if there is none.
    pub(crate) fn reassign(&self, delivery: Delivery, from: SessionId) {
        if self.forgotten.owned(from, &delivery.message.topic) {
            self.metrics.shared_dropped.add(1);
            return;
        }
        let message = delivery.message.clone();
        let delivered = self.subscriptions.read().reassign(delivery, from);
        self.metrics.shared_dropped.add(delivered.outcome.dropped);
        if let Some(neighbours) = &self.neighbourhood {
            neighbours.publish_again(&message, &delivered.elsewhere);
        }
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

    /// What is retained, for whoever follows what other servers save.
    pub(crate) fn kept(&self) -> &RetainedStore {
        &self.kept
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
