//! The loop that claims.

use std::{sync::Arc, time::Duration};

use herald_acl::Username;
use herald_store::{Finished, Job, Store, Timestamp};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Processor,
    job::{End, work},
};

/// Longest sleep without a look at the queue: a bound on what a clock set back, or another node's message, can delay.
const LOOK: Duration = Duration::from_secs(1);

/// After an error of the database.
const PAUSE: Duration = Duration::from_millis(500);

/// What the worker tells.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A message ended, and that is durable.
    Finished(&'a Finished),
    /// A message of this user may have ended: whoever waits for its notification should look.
    Unclear(&'a Username),
}

/// Called with each event.
pub type Tell = Arc<dyn Fn(Event<'_>) + Send + Sync>;

/// How the worker works.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Messages processed at once.
    pub concurrency: u32,
    /// How long a claim holds without renewal.
    pub lease: Duration,
    /// How long messages under way may take to end once the worker is told to stop.
    pub grace: Duration,
}

/// Claims and processes messages until it is told to stop.
pub struct Worker {
    store: Store,
    processor: Arc<dyn Processor>,
    options: WorkerOptions,
    tell: Tell,
    running: JoinSet<()>,
}

impl Worker {
    /// A worker on the queue of `store`.
    pub fn new(
        store: Store,
        processor: Arc<dyn Processor>,
        options: WorkerOptions,
        tell: Tell,
    ) -> Self {
        Self {
            store,
            processor,
            options,
            tell,
            running: JoinSet::new(),
        }
    }

    /// Works until `stop`, then ends what is claimed and returns. What does not end in time stays claimed, and is claimed
    /// again when its lease has run out.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.turn(&stop).await;
        }
        let ending = async { while self.running.join_next().await.is_some() {} };
        if timeout(self.options.grace, ending).await.is_err() {
            tracing::warn!(
                left = self.running.len(),
                "some messages were still being processed; they will be processed again"
            );
        }
    }

    /// Claims what there is room for, then waits until there may be more. Only the waits are cut short by `stop`: what is
    /// claimed is worked on.
    async fn turn(&mut self, stop: &CancellationToken) {
        let Some(most) = stop.run_until_cancelled(self.processor.ready()).await else {
            return;
        };
        while self.running.try_join_next().is_some() {}
        let most = self.options.concurrency.min(most.get());
        let room = most.saturating_sub(self.running.len() as u32);
        if room == 0 {
            stop.run_until_cancelled(self.running.join_next()).await;
            return;
        }
        let now = Timestamp::now();
        match self.store.claim(room, self.options.lease, now).await {
            Ok(jobs) => {
                let more_may_wait = jobs.len() as u32 == room;
                for job in jobs {
                    self.start(job);
                }
                if !more_may_wait {
                    stop.run_until_cancelled(self.wait()).await;
                }
            }
            Err(e) => {
                tracing::error!(error = %e, "the queue cannot be read");
                stop.run_until_cancelled(sleep(PAUSE)).await;
            }
        }
    }

    fn start(&mut self, job: Job) {
        let store = self.store.clone();
        let processor = self.processor.clone();
        let lease = self.options.lease;
        let tell = self.tell.clone();
        self.running.spawn(async move {
            match work(&store, processor.as_ref(), &job, lease).await {
                End::Finished(finished) => tell(Event::Finished(&finished)),
                End::Unclear => tell(Event::Unclear(&job.username)),
                End::Lost => {}
            }
        });
    }

    /// Waits until a message is due, or one was accepted.
    async fn wait(&self) {
        let due = match self.store.next_due().await {
            Ok(due) => due,
            Err(e) => {
                tracing::error!(error = %e, "the queue cannot be read");
                return sleep(PAUSE).await;
            }
        };
        let millis = due.map_or(i64::MAX, |due| {
            due.as_millis().saturating_sub(Timestamp::now().as_millis())
        });
        let until_due = Duration::from_millis(millis.max(0) as u64).min(LOOK);
        tokio::select! {
            () = self.store.queued().notified() => {}
            () = sleep(until_due) => {}
        }
    }
}
