//! Hosts whose answers take time, in a time that passes only as the test says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::Actions;
use herald_broker::{
    Broker, DeniedAction, Host, Identity, Intake, Limits, Notification, Observe, Position,
    SendRefusal, SendRequest,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::common::{
    hosts,
    inbox::{Inboxes, Log, Returned, notification},
};

/// PUBLISHes a second.
pub(super) const RATE: u32 = 4;

/// Alice's inbox, and what takes her messages. It is every other host's, too.
pub(super) struct World {
    /// How long each call takes, in milliseconds: a session may find that it is later than it thought.
    pub(super) call_ms: AtomicU64,
    /// The number of the newest notification.
    pub(super) newest: AtomicI64,
    /// How far it was acknowledged.
    pub(super) acknowledged: AtomicI64,
    /// The bodies that came, in order.
    pub(super) came: Mutex<Vec<String>>,
    /// One for each held message that may be stored.
    pub(super) let_go: Arc<Semaphore>,
}

impl World {
    /// A broker in which nothing has happened.
    pub(super) async fn start() -> (Broker, Arc<Self>) {
        let world = Arc::new(Self {
            call_ms: AtomicU64::new(0),
            newest: AtomicI64::new(0),
            acknowledged: AtomicI64::new(0),
            came: Mutex::default(),
            let_go: Arc::new(Semaphore::new(0)),
        });
        let limits = Limits {
            publishes_per_s: RATE,
            ..Limits::default()
        };
        let host = Host {
            inbox: Arc::new(Inboxes(world.clone())),
            observe: world.clone(),
            ..hosts::host(world.clone())
        };
        let broker = Broker::start(limits, hosts::policy(Actions::Both), host);
        (broker.await.expect("the router starts"), world)
    }

    /// Begins anew.
    pub(super) fn reset(&self) {
        self.call_ms.store(0, Relaxed);
        self.newest.store(0, Relaxed);
        self.acknowledged.store(0, Relaxed);
        self.came.lock().clear();
        self.let_go.forget_permits(usize::MAX);
    }

    /// A host is called.
    fn called(&self) {
        let took = Duration::from_millis(self.call_ms.load(Relaxed));
        // The clock moves when this is first polled.
        let _ = tokio::time::advance(took).now_or_never();
    }
}

impl Observe for World {
    fn denied(&self, _: DeniedAction<'_>) {
        self.called();
    }
}

impl Intake for World {
    fn send(&self, _: &Identity, send: SendRequest) -> BoxFuture<'static, Result<(), SendRefusal>> {
        self.called();
        let waits = send.body.starts_with("held");
        self.came.lock().push(send.body);
        let let_go = self.let_go.clone();
        async move {
            if waits {
                let permit = let_go.acquire().await;
                permit.expect("the semaphore is never closed").forget();
            }
            Ok(())
        }
        .boxed()
    }
}

impl Log for World {
    fn newest(&self) -> i64 {
        self.newest.load(Relaxed)
    }

    fn position(&self, _: Option<&Arc<str>>) -> Returned<Position> {
        self.called();
        let position = Position {
            acknowledged: self.acknowledged.load(Relaxed),
            newest: self.newest(),
        };
        async move { Ok(position) }.boxed()
    }

    fn read(&self, _: &Identity, after: i64, limit: usize) -> Vec<Notification> {
        self.called();
        let left = (after + 1)..=self.newest();
        left.take(limit).map(notification).collect()
    }

    fn acknowledge(&self, _: Option<&Arc<str>>, up_to: i64) {
        self.called();
        self.acknowledged.fetch_max(up_to, Relaxed);
    }
}
