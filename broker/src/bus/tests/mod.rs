//! The bus with its real router.

mod forgetting;
mod groups;
mod keeping;
mod restart;
mod routing;

use std::time::Duration;

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::TopicName;
use tokio::time::timeout;

use super::*;
use crate::{
    host::{HostError, RetainedChange, RetainedMessage},
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

async fn bus() -> Bus {
    Bus::start(Arc::default(), Arc::new(Forgets)).await.unwrap()
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).unwrap()
}

/// A new session that subscribes to `text` in the scope `#`.
fn listener(bus: &Bus, text: &str) -> (SessionId, Arc<Mailbox>) {
    let (session, mailbox) = (SessionId::next(), Arc::new(Mailbox::default()));
    bus.subscribe(&filter("#"), &filter(text), None, session, &mailbox)
        .unwrap();
    (session, mailbox)
}

/// What arrives until `done` says that it is enough.
async fn arrived(mailbox: &Mailbox, done: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
    let mut arrived = vec![];
    timeout(LIMIT, async {
        loop {
            arrived.extend(mailbox.take(false).shared);
            if done(&arrived) {
                break;
            }
            mailbox.ready().await;
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
