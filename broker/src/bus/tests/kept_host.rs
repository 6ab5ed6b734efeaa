//! A host for retained messages that fails or waits as it is told.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::SystemTime,
};

use parking_lot::Mutex;
use tokio::{sync::Semaphore, task::JoinHandle};

use super::*;

/// A host that keeps messages in memory, and fails or waits as told.
pub(super) struct Host {
    pub(super) kept: Mutex<BTreeMap<String, RetainedMessage>>,
    /// Topics of each save that succeeded.
    pub(super) saves: Mutex<Vec<usize>>,
    /// How many saves will fail.
    pub(super) failures: AtomicUsize,
    /// One permit a save.
    gate: Semaphore,
    saving: AtomicBool,
}

impl Host {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            kept: Mutex::default(),
            saves: Mutex::default(),
            failures: AtomicUsize::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            saving: AtomicBool::new(false),
        })
    }

    /// Saves wait from now on.
    pub(super) fn close(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(super) fn open(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS);
    }

    pub(super) fn payloads(&self) -> BTreeMap<String, String> {
        let kept = self.kept.lock();
        let text = |m: &RetainedMessage| String::from_utf8(m.payload.to_vec()).unwrap();
        kept.iter().map(|(t, m)| (t.clone(), text(m))).collect()
    }
}

/// The host as the bus sees it.
pub(super) struct Face(pub(super) Arc<Host>);

impl Retain for Face {
    fn load(&self) -> BoxFuture<'static, Result<Vec<RetainedMessage>, HostError>> {
        let kept = self.0.kept.lock().values().cloned().collect();
        async { Ok(kept) }.boxed()
    }

    fn save(&self, changes: Vec<RetainedChange>) -> BoxFuture<'static, Result<(), HostError>> {
        let host = self.0.clone();
        async move {
            assert!(!host.saving.swap(true, Ordering::SeqCst), "one at a time");
            host.gate.acquire().await.unwrap().forget();
            host.gate.add_permits(1);
            host.saving.store(false, Ordering::SeqCst);
            let fewer = |n: usize| n.checked_sub(1);
            if host
                .failures
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer)
                .is_ok()
            {
                return Err(HostError("told to fail".into()));
            }
            host.saves.lock().push(changes.len());
            let mut kept = host.kept.lock();
            for change in changes {
                match change {
                    RetainedChange::Set(message) => kept.insert(message.topic.clone(), message),
                    RetainedChange::Clear { topic } => kept.remove(&topic),
                };
            }
            Ok(())
        }
        .boxed()
    }

    fn forget_expired(&self) -> BoxFuture<'static, Result<(), HostError>> {
        let now = SystemTime::now();
        let is_left = |m: &RetainedMessage| m.expires_at.is_none_or(|at| at > now);
        self.0.kept.lock().retain(|_, message| is_left(message));
        async { Ok(()) }.boxed()
    }
}

/// Retained messages over a host, and the task that saves.
pub(super) struct Running {
    pub(super) kept: RetainedStore,
    pub(super) stop: CancellationToken,
    saver: JoinHandle<()>,
}

impl Running {
    pub(super) async fn start(host: &Arc<Host>) -> Self {
        let stop = CancellationToken::new();
        let face = Arc::new(Face(host.clone()));
        let (kept, save) = RetainedStore::load(face, stop.clone()).await.unwrap();
        let saver = tokio::spawn(save);
        Self { kept, stop, saver }
    }

    pub(super) fn set(&self, topic: &str, payload: &str) -> Option<Saving> {
        self.kept.set(&retained(topic, payload)).unwrap()
    }

    pub(super) fn payloads(&self) -> BTreeMap<String, String> {
        let all = self.kept.matching(&filter("#"), None, usize::MAX);
        let text = |m: &Message| String::from_utf8(m.payload.to_vec()).unwrap();
        all.iter()
            .map(|m| (m.topic.as_str().to_owned(), text(m)))
            .collect()
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.saver.await.unwrap();
    }
}

pub(super) fn retained(topic: &str, payload: &str) -> Arc<Message> {
    Arc::new(Message {
        retain: true,
        ..message(topic, payload)
    })
}
