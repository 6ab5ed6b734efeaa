//! Messages to process, and webhooks to process them.

use std::time::Duration;

use herald_acl::Role;
use herald_store::{
    Accepted, CreateUser, Delay, Job, MessageId, Store, StoreOptions, Timestamp, User,
};
use herald_worker::{
    Authorities, Endpoint, Failure, Processor as _, SigningKey, Webhook, WebhookOptions,
};
use tempfile::TempDir;
use tokio::time::timeout;

/// How long any event may take before its test fails. Far longer than any takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A queue whose messages are due at once.
pub(crate) struct Queue {
    _dir: TempDir,
    pub(crate) store: Store,
    pub(crate) alice: User,
}

impl Queue {
    pub(crate) async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let store = Store::open(options).await.unwrap();
        let delay = Delay::Fixed { ms: 0 };
        store.set_delay(delay, false).await.unwrap();
        let name = "alice".parse().unwrap();
        let now = Timestamp::now();
        let created = store.create_user(&name, Role::User, "x", now).await;
        let CreateUser::Created(alice) = created.unwrap() else {
            panic!("the name is free")
        };
        Self {
            _dir: dir,
            store,
            alice,
        }
    }

    pub(crate) async fn send(&self, body: &str) -> MessageId {
        let now = Timestamp::now();
        let accepted = self.store.accept(&self.alice.id, body.into(), None, now);
        match accepted.await.unwrap() {
            Accepted::New(message) => message.id,
            other => panic!("{other:?}"),
        }
    }
}

/// A claimed message.
pub(crate) async fn job(body: &str) -> Job {
    let queue = Queue::new().await;
    queue.send(body).await;
    let claimed = queue.store.claim(1, LIMIT, Timestamp::now()).await;
    claimed.unwrap().remove(0)
}

pub(crate) fn options(url: &str) -> WebhookOptions {
    WebhookOptions {
        endpoint: Endpoint::parse(url).unwrap(),
        key: SigningKey::parse(SECRET).unwrap(),
        previous_key: None,
        authorities: Authorities::System,
        timeout: LIMIT,
        concurrency: 16.try_into().unwrap(),
    }
}

/// A webhook that is in no hurry.
pub(crate) fn webhook(url: &str) -> Webhook {
    Webhook::new(options(url)).unwrap()
}

/// A webhook that soon takes silence for no answer.
pub(crate) fn hasty(url: &str) -> Webhook {
    Webhook::new(WebhookOptions {
        timeout: Duration::from_millis(300),
        ..options(url)
    })
    .unwrap()
}

/// What becomes of a message.
pub(crate) async fn ask(webhook: &Webhook) -> Result<String, Failure> {
    let job = job("hello").await;
    timeout(LIMIT, webhook.process(&job)).await.unwrap()
}

pub(crate) fn retry(error: &str) -> Result<String, Failure> {
    let (error, after) = (error.into(), None);
    Err(Failure::Retry { error, after })
}

pub(crate) fn outage(error: &str) -> Result<String, Failure> {
    let (error, after) = (error.into(), None);
    Err(Failure::Outage { error, after })
}

pub(crate) fn fatal(error: &str) -> Result<String, Failure> {
    let error = error.into();
    Err(Failure::Final { error })
}
