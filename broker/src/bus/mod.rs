//! The shared plane: live topics routed by an embedded `rumqttd`, retained messages kept here.
//!
//! `rumqttd` never sees a client: no client id, filter, will or acknowledgement of one, and only topics behind a fixed
//! ASCII prefix. What it knows is one local link to publish through and one for each *scope*: the widest filter that an
//! allow rule of the ACL stands for. So what clients do cannot make it grow. Which subscriber of a scope gets a message is
//! decided here, by the filter that the ACL granted.

mod message;
mod retained;
mod router;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use herald_acl::TopicFilter;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    host::Retain,
    mailbox::{Delivery, Mailbox},
    metrics::Metrics,
};

pub(crate) use message::Message;
use retained::Retained;
use router::{Link, Router};

/// Messages accepted and not yet handed to the router.
const QUEUE: usize = 1024;

/// Names a session within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(u64);

impl SessionId {
    /// No session: the broker itself.
    pub(crate) const BROKER: Self = Self(0);

    /// A number never used before.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
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

struct Subscriber {
    session: SessionId,
    filter: TopicFilter,
    text: Arc<str>,
    mailbox: Arc<Mailbox>,
}

/// Those who listen within one scope.
type Subscribers = Arc<RwLock<Vec<Subscriber>>>;

/// The shared plane of one broker.
pub(crate) struct Bus {
    router: Arc<Router>,
    retained: Mutex<Retained>,
    queue: mpsc::Sender<Arc<Message>>,
    scopes: RwLock<HashMap<String, Subscribers>>,
    /// Held while a scope's link opens.
    opening: AsyncMutex<()>,
    tasks: TaskTracker,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
}

impl Bus {
    /// Starts the router and the task that publishes to it.
    pub(crate) async fn start(
        metrics: Arc<Metrics>,
        _retain: Arc<dyn Retain>,
    ) -> Result<Self, BusError> {
        let router = Arc::new(Router::start());
        let (queue, messages) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let link = router.link().await?;
        tasks.spawn(publish(link, messages, stop.clone()));
        Ok(Self {
            router,
            retained: Mutex::default(),
            queue,
            scopes: RwLock::default(),
            opening: AsyncMutex::default(),
            tasks,
            stop,
            metrics,
        })
    }

    /// Publishes `message` to all who subscribed, and keeps it if it is to be retained.
    pub(crate) async fn publish(&self, message: Message) -> Result<(), BusError> {
        let message = Arc::new(message);
        if message.retain {
            self.retained.lock().set(&message)?;
        }
        self.queue
            .send(message)
            .await
            .map_err(|_| BusError::Unavailable)
    }

    /// Delivers what matches `filter` to `mailbox` from now on. `scope` is what the rule that allows it stands for.
    pub(crate) async fn subscribe(
        &self,
        scope: &TopicFilter,
        filter: &TopicFilter,
        session: SessionId,
        mailbox: &Arc<Mailbox>,
    ) -> Result<(), BusError> {
        debug_assert!(scope.covers(filter));
        let subscribers = self.scope(scope).await?;
        let mut subscribers = subscribers.write();
        subscribers.retain(|s| s.session != session || &s.filter != filter);
        subscribers.push(Subscriber {
            session,
            filter: filter.clone(),
            text: filter.as_str().into(),
            mailbox: mailbox.clone(),
        });
        Ok(())
    }

    /// Gives a delivery that `from` could not finish to another member of its group.
    pub(crate) fn reassign(&self, _delivery: Delivery, _from: SessionId) {
        self.metrics.shared_dropped.add(1);
    }

    /// Ends what [`Bus::subscribe`] began; with `filter` `None`, all of the session's.
    pub(crate) fn unsubscribe(&self, session: SessionId, filter: Option<&TopicFilter>) {
        for subscribers in self.scopes.read().values() {
            subscribers
                .write()
                .retain(|s| s.session != session || filter.is_some_and(|f| f != &s.filter));
        }
    }

    /// The first `limit` retained messages that `filter` matches, by topic, of the topics after `after`.
    pub(crate) fn retained(
        &self,
        filter: &TopicFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Message>> {
        self.retained.lock().matching(filter, after, limit)
    }

    /// Whether messages are still handed to the router.
    pub(crate) fn is_ready(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Ends the tasks.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn scope(&self, scope: &TopicFilter) -> Result<Subscribers, BusError> {
        let known = || self.scopes.read().get(scope.as_str()).cloned();
        if let Some(known) = known() {
            return Ok(known);
        }
        let _opening = self.opening.lock().await;
        // Another session may have opened it meanwhile.
        if let Some(known) = known() {
            return Ok(known);
        }
        let mut link = self.router.link().await?;
        link.subscribe(scope).await?;
        let subscribers = Subscribers::default();
        self.tasks.spawn(dispatch(
            link,
            subscribers.clone(),
            self.metrics.clone(),
            self.stop.clone(),
        ));
        self.scopes
            .write()
            .insert(scope.as_str().to_owned(), subscribers.clone());
        Ok(subscribers)
    }
}

/// Hands accepted messages to the router, in order.
async fn publish(
    mut link: Link,
    mut messages: mpsc::Receiver<Arc<Message>>,
    stop: CancellationToken,
) {
    while let Some(Some(message)) = stop.run_until_cancelled(messages.recv()).await {
        if let Err(e) = link.publish(&message).await {
            tracing::error!(error = %e, "shared topics stopped: the router is gone");
            return;
        }
    }
    link.close().await;
}

/// Hands what the router forwards to the subscribers it matches.
async fn dispatch(
    mut link: Link,
    subscribers: Subscribers,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    loop {
        match stop.run_until_cancelled(link.next()).await {
            None => return link.close().await,
            Some(Err(e)) => {
                tracing::error!(error = %e, "shared topics stopped: the router is gone");
                return;
            }
            Some(Ok(received)) => {
                if received.lost > 0 {
                    metrics.shared_dropped.add(received.lost);
                    tracing::warn!(
                        lost = received.lost,
                        "shared messages lost: routing lagged behind"
                    );
                }
                for s in subscribers.read().iter() {
                    if s.filter.matches(&received.message.topic) {
                        let dropped = s.mailbox.deliver(Delivery {
                            filter: s.text.clone(),
                            message: received.message.clone(),
                            retained: false,
                        });
                        metrics.shared_dropped.add(dropped);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt as _, future::BoxFuture};

    use super::*;
    use crate::{
        host::{HostError, RetainedChange, RetainedMessage},
        limits::Limits,
        wire::Qos,
    };

    /// Keeps nothing.
    struct Forgets;

    impl Retain for Forgets {
        fn load(&self) -> BoxFuture<'static, Result<Vec<RetainedMessage>, HostError>> {
            async { Ok(vec![]) }.boxed()
        }

        fn save(&self, _: Vec<RetainedChange>) -> BoxFuture<'static, Result<(), HostError>> {
            async { Ok(()) }.boxed()
        }
    }

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::parse(text).unwrap()
    }

    /// The first `count` messages that arrive.
    async fn arrived(mailbox: &Mailbox, count: usize) -> Vec<(String, Vec<u8>, Qos)> {
        let mut arrived = vec![];
        tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                arrived.extend(mailbox.take(false).shared.into_iter().map(|d| {
                    let m = d.message;
                    (m.topic.as_str().to_owned(), m.payload.to_vec(), m.qos)
                }));
                if arrived.len() >= count {
                    break;
                }
                mailbox.ready().await;
            }
        })
        .await
        .expect("the messages arrive");
        arrived
    }

    fn expected(topic: &str, payload: &str) -> (String, Vec<u8>, Qos) {
        (topic.to_owned(), payload.into(), Qos::AtLeastOnce)
    }

    fn message(topic: &str, payload: &str) -> Message {
        Message {
            topic: herald_acl::TopicName::parse(topic).unwrap(),
            payload: payload.to_owned().into(),
            qos: Qos::AtLeastOnce,
            ..Message::sample()
        }
    }

    #[tokio::test]
    async fn a_message_reaches_the_subscribers_it_matches_and_no_other() {
        let bus = Bus::start(Arc::default(), Arc::new(Forgets)).await.unwrap();
        let scope = filter("#");
        let (a, b) = (
            Arc::new(Mailbox::new(&Limits::default())),
            Arc::new(Mailbox::new(&Limits::default())),
        );
        bus.subscribe(&scope, &filter("ü/+"), SessionId::next(), &a)
            .await
            .unwrap();
        bus.subscribe(&scope, &filter("b"), SessionId::next(), &b)
            .await
            .unwrap();
        for (topic, payload) in [("ü/x", "1"), ("b", "2"), ("ü/x/y", "3"), ("ü/z", "")] {
            bus.publish(message(topic, payload)).await.unwrap();
        }
        assert_eq!(
            arrived(&a, 2).await,
            [expected("ü/x", "1"), expected("ü/z", "")]
        );
        assert_eq!(arrived(&b, 1).await, [expected("b", "2")]);
        bus.stop().await;
    }

    #[tokio::test]
    async fn a_topic_with_no_subscriber_does_not_end_the_publisher() {
        let bus = Bus::start(Arc::default(), Arc::new(Forgets)).await.unwrap();
        for _ in 0..100 {
            bus.publish(message("nobody/listens", "x")).await.unwrap();
        }
        let mailbox = Arc::new(Mailbox::new(&Limits::default()));
        bus.subscribe(&filter("a/#"), &filter("a/#"), SessionId::next(), &mailbox)
            .await
            .unwrap();
        bus.publish(message("a/b", "heard")).await.unwrap();
        assert_eq!(arrived(&mailbox, 1).await, [expected("a/b", "heard")]);
        bus.stop().await;
    }
}
