//! Keeps retained messages through a restart.
//!
//! A change is made in memory at once; one task writes what has changed, as it is by then. So what is kept is in order by
//! construction, and changes of one topic that come quicker than saves are saved as one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use herald_acl::{OwnTopics, TopicFilter};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, interval, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{error::BusError, retained::Retained};
use crate::{
    host::{HostError, Retain, RetainedChange, RetainedMessage},
    message::Message,
};

/// How long a publisher waits for its message to be saved.
const PATIENCE: Duration = Duration::from_secs(10);

/// The wait after a save that failed; each further one is twice as long.
const BACKOFF: Duration = Duration::from_millis(100);

/// The longest wait.
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// How often what has expired is looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// Topics looked at under one lock when some are to be forgotten.
const FORGET_PART: usize = 256;

/// How long saving may take once the bus stops.
const LAST: Duration = Duration::from_secs(5);

/// What is retained, in memory and at the host.
pub(crate) struct RetainedStore {
    retained: Arc<Mutex<Retained>>,
    changed: Arc<Notify>,
    saved: watch::Sender<u64>,
    /// All changes up to this number that were not saved are given up.
    lost: Arc<AtomicU64>,
}

impl RetainedStore {
    /// Loads what the host kept. The future saves what changes; once `stop` is cancelled, what is left, and ends.
    pub(super) async fn load(
        host: Arc<dyn Retain>,
        stop: CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()> + Send), HostError> {
        let mut retained = Retained::default();
        retained.load(host.load().await?);
        let retained = Arc::new(Mutex::new(retained));
        let changed = Arc::<Notify>::default();
        let saved = watch::Sender::new(0);
        let saver = Saver {
            retained: retained.clone(),
            changed: changed.clone(),
            saved: saved.clone(),
            host,
        };
        let kept = Self {
            retained,
            changed,
            saved,
            lost: Arc::default(),
        };
        Ok((kept, saver.run(stop)))
    }

    /// Makes `message` the one of its topic, or clears that. `None`: there is nothing to wait for.
    pub(super) fn set(&self, message: &Arc<Message>) -> Result<Option<Saving>, BusError> {
        let Some(change) = self.retained.lock().set(message)? else {
            return Ok(None);
        };
        self.changed.notify_one();
        Ok(Some(self.saving(change)))
    }

    /// Forgets what `own` contains, of what is retained now.
    pub(super) fn forget(&self, own: &OwnTopics) -> Saving {
        let mut after: Option<String> = None;
        loop {
            // Part by part: others publish meanwhile.
            let part = self.retained.lock().part(after.as_deref(), FORGET_PART);
            let Some(last) = part.last() else { break };
            after = Some(last.topic.as_str().to_owned());
            let theirs = part.iter().filter(|m| own.contains(&m.topic));
            theirs.for_each(|m| self.take_back(m));
        }
        // What was cleared before and is not saved yet counts, too.
        let change = self.retained.lock().last_change();
        self.saving(change)
    }

    /// Forgets `message`, if it is still the one of its topic.
    pub(super) fn take_back(&self, message: &Arc<Message>) {
        self.retained.lock().take_back(message);
        self.changed.notify_one();
    }

    /// See [`crate::Broker::apply_retained`].
    pub(crate) fn apply(&self, changes: Vec<RetainedChange>) -> u64 {
        self.retained.lock().apply(changes)
    }

    /// See [`crate::Broker::apply_all_retained`].
    pub(crate) fn apply_all(&self, kept: Vec<RetainedMessage>) -> u64 {
        self.retained.lock().apply_all(kept)
    }

    /// See [`crate::Broker::settle_retained`].
    pub(crate) fn settle(&self, topics: &[Arc<str>], kept: Vec<RetainedMessage>) -> u64 {
        self.retained.lock().settle(topics, kept)
    }

    /// See [`crate::Broker::doubtful_retained`].
    pub(crate) fn doubtful(&self, limit: usize) -> Vec<Arc<str>> {
        self.retained.lock().doubtful(limit)
    }

    /// See [`crate::Broker::all_retained_doubtful`].
    pub(crate) fn is_doubtful(&self) -> bool {
        self.retained.lock().is_doubtful()
    }

    /// What another server has just published is the message of its topic, or clears that, until it is known what was saved.
    pub(super) fn provisional(&self, message: &Arc<Message>) {
        self.retained.lock().provisional(message);
    }

    /// Gives up what is not saved yet: whoever waits for it learns that it is not.
    pub(crate) fn give_up(&self) {
        let mut retained = self.retained.lock();
        let last = retained.give_up();
        self.lost.store(last, Ordering::Release);
        // There is nothing more to wait for.
        self.saved.send_replace(last);
    }

    fn saving(&self, change: u64) -> Saving {
        Saving {
            change,
            saved: self.saved.subscribe(),
            lost_before: self.lost.load(Ordering::Acquire),
            lost: self.lost.clone(),
            deadline: Instant::now() + PATIENCE,
        }
    }

    /// See [`super::Bus::retained`].
    pub(super) fn matching(
        &self,
        filter: &TopicFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Message>> {
        self.retained.lock().matching(filter, after, limit)
    }
}

/// A retained message that is being saved.
#[derive(Debug)]
pub(crate) struct Saving {
    change: u64,
    saved: watch::Receiver<u64>,
    /// What was given up before is not what is waited for.
    lost_before: u64,
    lost: Arc<AtomicU64>,
    deadline: Instant,
}

impl Saving {
    /// Resolves once the message, or what replaced it, is durable; fails if that takes too long. It is saved nonetheless
    /// when the host can.
    pub(crate) async fn done(mut self) -> Result<(), BusError> {
        let saved = self.saved.wait_for(|saved| *saved >= self.change);
        let is_over = matches!(timeout_at(self.deadline, saved).await, Ok(Ok(_)));
        let lost = self.lost.load(Ordering::Acquire);
        let is_lost = lost > self.lost_before && self.change <= lost;
        match is_over && !is_lost {
            true => Ok(()),
            false => Err(BusError::Unavailable),
        }
    }
}

/// The task that saves.
struct Saver {
    retained: Arc<Mutex<Retained>>,
    changed: Arc<Notify>,
    /// All changes up to this number are.
    saved: watch::Sender<u64>,
    host: Arc<dyn Retain>,
}

impl Saver {
    async fn run(self, stop: CancellationToken) {
        let too_long = async {
            stop.cancelled().await;
            sleep(LAST).await;
        };
        tokio::select! {
            () = self.save_until(&stop) => {}
            () = too_long => tracing::error!("some retained messages could not be saved before the end"),
        }
    }

    async fn save_until(&self, stop: &CancellationToken) {
        let mut sweep = interval(SWEEP);
        loop {
            self.save_all().await;
            if stop.is_cancelled() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.changed.notified() => {}
                _ = sweep.tick() => self.drop_expired().await,
            }
        }
    }

    async fn drop_expired(&self) {
        self.retained.lock().drop_expired();
        if let Err(e) = self.host.forget_expired().await {
            tracing::warn!(error = %e, "retained messages that have expired cannot be deleted; trying again");
        }
    }

    /// Saves part by part until nothing is left to be saved.
    async fn save_all(&self) {
        let mut backoff = BACKOFF;
        loop {
            let Some((part, changes)) = self.retained.lock().unsaved() else {
                return;
            };
            match self.host.save(changes).await {
                Ok(()) => {
                    let mut retained = self.retained.lock();
                    self.saved.send_replace(retained.saved(&part));
                    backoff = BACKOFF;
                }
                Err(e) => {
                    tracing::error!(error = %e, "retained messages cannot be saved; trying again");
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                }
            }
        }
    }
}
