//! The bus with its real router.

mod forgetting;
mod groups;
mod keeping;
mod kept_host;
mod matching;
mod neighbours;
mod order;
mod passing;
mod restart;
mod routing;

use std::time::Duration;

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::TopicName;
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    delivery::Outcome,
    host::{HostError, RetainedChange, RetainedMessage},
    ids::SubscriptionKey,
    wire::Qos,
};

const LIMIT: Duration = Duration::from_secs(20);

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

/// A session that keeps all that it gets.
#[derive(Default)]
pub(super) struct Recorder {
    got: Mutex<Vec<Delivery>>,
    more: Notify,
}

impl Subscriber for Recorder {
    fn deliver(&self, delivery: Delivery) -> Outcome {
        self.got.lock().push(delivery);
        self.more.notify_one();
        Outcome::default()
    }

    fn is_online(&self) -> bool {
        true
    }
}

impl Recorder {
    fn take(&self) -> Vec<Delivery> {
        std::mem::take(&mut self.got.lock())
    }
}

async fn bus() -> Bus {
    bus_with(None).await
}

async fn bus_with(neighbours: Option<Arc<dyn Neighbours>>) -> Bus {
    let (forgets, crashed) = (Arc::new(Forgets), CancellationToken::new());
    Bus::start(Arc::default(), forgets, neighbours, &crashed)
        .await
        .unwrap()
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).unwrap()
}

/// A subscription of `session` to `text`; with a shared one, in the group that is open.
fn subscription(session: SessionId, filter: &TopicFilter) -> Subscription<'_> {
    Subscription {
        session,
        key: SubscriptionKey::next(),
        filter,
        no_local: false,
        owner: None,
    }
}

/// Has `session` subscribe to `text`.
fn subscribe(
    bus: &Bus,
    session: SessionId,
    text: &str,
    recorder: &Arc<Recorder>,
) -> SubscriptionKey {
    let filter = filter(text);
    let subscription = subscription(session, &filter);
    bus.subscribe(&subscription, recorder.clone());
    subscription.key
}

/// A new session that subscribes to `text`.
fn listener(bus: &Bus, text: &str) -> (SessionId, Arc<Recorder>) {
    let (session, recorder) = (SessionId::next(), Arc::new(Recorder::default()));
    subscribe(bus, session, text, &recorder);
    (session, recorder)
}

/// What arrives until `done` says that it is enough.
async fn arrived(recorder: &Recorder, done: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
    let mut arrived = vec![];
    timeout(LIMIT, async {
        loop {
            arrived.extend(recorder.take());
            if done(&arrived) {
                break;
            }
            recorder.more.notified().await;
        }
    })
    .await
    .expect("the messages arrive");
    arrived
}

fn payloads(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries
        .iter()
        .map(|d| std::str::from_utf8(&d.message.payload).unwrap())
        .collect()
}

fn message(topic: &str, payload: &str) -> Message {
    Message {
        topic: TopicName::parse(topic).unwrap(),
        payload: payload.to_owned().into(),
        qos: Qos::AtLeastOnce,
        ..Message::sample()
    }
}
