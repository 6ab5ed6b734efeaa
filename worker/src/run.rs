//! The loop that claims.

use std::{
    collections::HashMap,
    mem,
    num::NonZeroU32,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use herald_acl::Username;
use herald_store::{Finished, Job, MessageId, Store, Timestamp};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Processor, WorkerOptions,
    job::{End, conclude, process},
};

/// Longest sleep without a look at the queue: a bound on what a clock set back, or another node's message, can delay.
const LOOK: Duration = Duration::from_secs(1);

/// Messages that are processed and whose end is being written. While one transaction is made durable, the next messages
/// are processed, and their ends share the next one.
const ENDING: usize = 256;

/// After two claims of what is due that got nothing of it: another node has the queues locked, for a moment.
const LOCKED: Duration = Duration::from_millis(20);

/// After an error of the database, or a crash.
const PAUSE: Duration = Duration::from_millis(500);

/// What the worker reports.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// An attempt at a message begins.
    Begun(&'a Job),
    /// An attempt at a message failed, and it is queued again.
    Again {
        /// The attempt.
        job: &'a Job,
        /// When the next one is due.
        run_at: Timestamp,
    },
    /// A message ended, and that is durable.
    Finished(&'a Finished),
    /// A message of this user may have ended: whoever waits for its notification should look.
    Unclear(&'a Username),
}

/// Called with each event.
pub type OnEvent = Arc<dyn Fn(Event<'_>) + Send + Sync>;

/// Claims and processes messages until it is stopped.
pub struct Worker {
    store: Store,
    processor: Arc<dyn Processor>,
    options: WorkerOptions,
    on_event: OnEvent,
    /// One permit for each message that may be processed at once.
    permits: Arc<Semaphore>,
    /// How many claims of each message have not ended.
    under_way: Arc<Mutex<HashMap<MessageId, u32>>>,
    running: JoinSet<()>,
    /// Whether the last claim got nothing of what is due: others have the queues locked.
    in_vain: bool,
}

impl Worker {
    /// A worker on the queue of `store`.
    pub fn new(
        store: Store,
        processor: Arc<dyn Processor>,
        options: WorkerOptions,
        on_event: OnEvent,
    ) -> Self {
        Self {
            store,
            processor,
            under_way: Arc::default(),
            permits: Arc::new(Semaphore::new(options.concurrency as usize)),
            options,
            on_event,
            running: JoinSet::new(),
            in_vain: false,
        }
    }

    /// Works until `stop`, then ends what is claimed and returns. What does not end in time stays claimed, and is claimed
    /// again when its lease has run out.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            // What a turn has claimed and not begun is claimed again when its lease has run out.
            if AssertUnwindSafe(self.turn(&stop))
                .catch_unwind()
                .await
                .is_err()
            {
                stop.run_until_cancelled(sleep(PAUSE)).await;
            }
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
        if self.running.len() >= self.options.concurrency as usize + ENDING {
            stop.run_until_cancelled(self.running.join_next()).await;
            return;
        }
        let free = self.permits.available_permits() as u32;
        let room = self.room(free, most);
        if room == 0 {
            // Until one more is free than now: the processor may take fewer than there are permits.
            let freed = self.permits.acquire_many(free + 1);
            drop(stop.run_until_cancelled(freed).await);
            return;
        }
        let (now, running) = (Timestamp::now(), self.under_way.clone());
        let is_running = Arc::new(move |id: &MessageId| running.lock().contains_key(id));
        let lease = self.options.lease;
        let again = mem::take(&mut self.in_vain);
        let claimed = if again {
            // It may be the sends and ends of this node that were in the way.
            self.store.claim_in_line(room, lease, now).await
        } else {
            self.store.claim_others(room, lease, now, is_running).await
        };
        match claimed {
            Ok(jobs) => {
                let more_may_wait = jobs.len() as u32 == room;
                // In a file, nobody has anything locked.
                let may_be_locked = jobs.is_empty() && !self.store.is_exclusive();
                let in_vain = may_be_locked.then_some(now);
                for job in jobs {
                    // Nobody else takes them, so there are as many as there was room for.
                    let permit = self.permits.clone().acquire_owned().await;
                    self.start(job, permit.expect("it is never closed"));
                }
                if !more_may_wait {
                    let waited = stop.run_until_cancelled(self.wait(in_vain, again)).await;
                    self.in_vain = waited.unwrap_or(false);
                }
            }
            Err(e) => {
                tracing::error!(error = %e, "the queue cannot be read");
                stop.run_until_cancelled(sleep(PAUSE)).await;
            }
        }
    }

    /// How many messages more may be processed, if so many permits are free and the processor takes `most` at once.
    fn room(&self, free: u32, most: NonZeroU32) -> u32 {
        let busy = self.options.concurrency - free;
        free.min(most.get().saturating_sub(busy))
    }

    fn start(&mut self, job: Job, permit: OwnedSemaphorePermit) {
        let store = self.store.clone();
        let processor = self.processor.clone();
        let options = self.options.clone();
        let on_event = self.on_event.clone();
        let under_way = UnderWay::new(&self.under_way, &job.id);
        self.running.spawn(async move {
            let _under_way = under_way;
            notify(&on_event, Event::Begun(&job));
            let attempt = process(&store, processor.as_ref(), &job, &options).await;
            drop(permit);
            match conclude(&store, &job, attempt, &options.retries).await {
                End::Finished(finished) => notify(&on_event, Event::Finished(&finished)),
                End::Unclear => notify(&on_event, Event::Unclear(&job.username)),
                End::Later(run_at) => notify(&on_event, Event::Again { job: &job, run_at }),
                End::Lost => {}
            }
        });
    }

    /// Waits until a message is due, or one was accepted. Returns at once, and `true`, if something was due at the time of a
    /// claim `in_vain`; after a second one that came `again`, it waits for a moment.
    async fn wait(&self, in_vain: Option<Timestamp>, again: bool) -> bool {
        let due = match self.store.next_due().await {
            Ok(due) => due,
            Err(e) => {
                tracing::error!(error = %e, "the queue cannot be read");
                sleep(PAUSE).await;
                return false;
            }
        };
        let millis = due.map_or(i64::MAX, |due| {
            due.as_millis().saturating_sub(Timestamp::now().as_millis())
        });
        let mut until_due = Duration::from_millis(millis.max(0) as u64).min(LOOK);
        if due.zip(in_vain).is_some_and(|(due, then)| due <= then) {
            if !again {
                return true;
            }
            until_due = LOCKED;
        }
        tokio::select! {
            () = self.store.queued().notified() => {}
            () = sleep(until_due) => {}
        }
        false
    }
}

/// Reports an event. A panic of the callee does not concern the message, which goes on.
fn notify(on_event: &OnEvent, event: Event<'_>) {
    // The panic has been reported by the hook; there is nothing to add.
    let _ = catch_unwind(AssertUnwindSafe(|| on_event(event)));
}

/// That a message is claimed and has not ended, until dropped.
struct UnderWay {
    all: Arc<Mutex<HashMap<MessageId, u32>>>,
    id: MessageId,
}

impl UnderWay {
    fn new(all: &Arc<Mutex<HashMap<MessageId, u32>>>, id: &MessageId) -> Self {
        *all.lock().entry(id.clone()).or_default() += 1;
        Self {
            all: all.clone(),
            id: id.clone(),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        // The same message may have been claimed again already, after a failed attempt.
        if let Some(count) = all.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.id);
            }
        }
    }
}
