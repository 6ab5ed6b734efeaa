//! The loop that claims.

use std::{
    collections::HashMap,
    mem,
    num::NonZeroU32,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use herald_acl::Username;
use herald_store::{Finished, Job, MessageId, Room, Store, Timestamp, WorksAtOnce};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::unconstrained,
    time::{sleep, timeout},
};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

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
    shared: Arc<Shared>,
    /// Whether the last claim got nothing of what is due: others have the queues locked.
    in_vain: bool,
}

/// What all messages under way share.
struct Shared {
    store: Store,
    processor: Arc<dyn Processor>,
    options: WorkerOptions,
    on_event: OnEvent,
    /// One permit for each message that may be processed at once.
    permits: Arc<Semaphore>,
    /// One for each that may be under way, those included whose end is being written.
    under_way_permits: Arc<Semaphore>,
    /// How many claims of each message have not ended.
    under_way: Arc<Mutex<HashMap<MessageId, u32>>>,
    running: TaskTracker,
    /// Ends what is still under way.
    give_up: CancellationToken,
    /// Whether messages may begin as they are accepted: none is due that waits.
    is_idle: AtomicBool,
}

impl Worker {
    /// A worker on the queue of `store`.
    pub fn new(
        store: Store,
        processor: Arc<dyn Processor>,
        options: WorkerOptions,
        on_event: OnEvent,
    ) -> Self {
        let concurrency = options.concurrency as usize;
        let shared = Shared {
            store,
            processor,
            under_way: Arc::default(),
            permits: Arc::new(Semaphore::new(concurrency)),
            under_way_permits: Arc::new(Semaphore::new(concurrency + ENDING)),
            options,
            on_event,
            running: TaskTracker::new(),
            give_up: CancellationToken::new(),
            is_idle: AtomicBool::new(false),
        };
        Self {
            shared: Arc::new(shared),
            in_vain: false,
        }
    }

    /// Works until `stop`, then ends what is claimed and returns. What does not end in time stays claimed, and is claimed
    /// again when its lease has run out.
    pub async fn run(mut self, stop: CancellationToken) {
        let shared = self.shared.clone();
        shared.store.work_at_once(Some(Arc::new(AtOnce {
            shared: Arc::downgrade(&shared),
            lease: shared.options.lease,
        })));
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
        shared.store.work_at_once(None);
        shared.running.close();
        let grace = shared.options.grace;
        if timeout(grace, shared.running.wait()).await.is_err() {
            tracing::warn!(
                left = shared.running.len(),
                "some messages were still being processed; they will be processed again"
            );
        }
    }

    /// Claims what there is room for, then waits until there may be more. Only the waits are cut short by `stop`: what is
    /// claimed is worked on.
    async fn turn(&mut self, stop: &CancellationToken) {
        let shared = self.shared.clone();
        shared.is_idle.store(false, Ordering::Release);
        let Some(most) = stop.run_until_cancelled(shared.processor.ready()).await else {
            return;
        };
        let ended = shared.under_way_permits.acquire();
        if stop.run_until_cancelled(ended).await.is_none() {
            return;
        }
        let free = shared.permits.available_permits() as u32;
        let ending = shared.under_way_permits.available_permits() as u32;
        let room = shared.room(free, most).min(ending);
        if room == 0 {
            // Until one more is free than now: the processor may take fewer than there are permits.
            let freed = shared.permits.acquire_many(free + 1);
            drop(stop.run_until_cancelled(freed).await);
            return;
        }
        let (now, running) = (Timestamp::now(), shared.under_way.clone());
        let is_running = Arc::new(move |id: &MessageId| running.lock().contains_key(id));
        let lease = shared.options.lease;
        let again = mem::take(&mut self.in_vain);
        let claimed = if again {
            // It may be the sends and ends of this node that were in the way.
            shared.store.claim_in_line(room, lease, now).await
        } else {
            shared
                .store
                .claim_others(room, lease, now, is_running)
                .await
        };
        match claimed {
            Ok(jobs) => {
                let more_may_wait = jobs.len() as u32 == room;
                // In a file, nobody has anything locked.
                let may_be_locked = jobs.is_empty() && !shared.store.is_exclusive();
                let in_vain = may_be_locked.then_some(now);
                for job in jobs {
                    // There was room for as many; a few may have begun since that were accepted before.
                    shared.start(job, shared.permit().await);
                }
                if !more_may_wait {
                    let waited = stop.run_until_cancelled(shared.wait(in_vain, again)).await;
                    self.in_vain = waited.unwrap_or(false);
                }
            }
            Err(e) => {
                tracing::error!(error = %e, "the queue cannot be read");
                stop.run_until_cancelled(sleep(PAUSE)).await;
            }
        }
    }
}

/// That a message may be processed, and that its end may be written.
struct Permit {
    process: OwnedSemaphorePermit,
    end: OwnedSemaphorePermit,
}

impl Shared {
    /// How many messages more may be processed, if so many permits are free and the processor takes `most` at once.
    fn room(&self, free: u32, most: NonZeroU32) -> u32 {
        let busy = self.options.concurrency - free;
        free.min(most.get().saturating_sub(busy))
    }

    /// Waits until one more may be processed.
    async fn permit(&self) -> Permit {
        let end = self.under_way_permits.clone().acquire_owned().await;
        let process = self.permits.clone().acquire_owned().await;
        Permit {
            process: process.expect("it is never closed"),
            end: end.expect("it is never closed"),
        }
    }

    /// The same, if that is so now.
    fn try_permit(&self) -> Option<Permit> {
        let end = self.under_way_permits.clone().try_acquire_owned().ok()?;
        let process = self.permits.clone().try_acquire_owned().ok()?;
        Some(Permit { process, end })
    }

    /// Begins with a message, as far as it goes without a wait: so those of one user, which are begun in order, end in order if
    /// their processor needs no time for them.
    fn start(self: &Arc<Self>, job: Job, permit: Permit) {
        let shared = self.clone();
        let under_way = UnderWay::new(&self.under_way, &job.id);
        let give_up = self.give_up.clone();
        let work = async move {
            let _under_way = under_way;
            let Permit { process, end: _end } = permit;
            shared.work(&job, process).await;
        };
        let mut work = Box::pin(async move { give_up.run_until_cancelled(work).await });
        // Without the budget of the caller's task, which would end in the middle of many. If it panics, its lease runs out.
        let begun = AssertUnwindSafe(unconstrained(work.as_mut())).catch_unwind();
        if begun.now_or_never().is_none() {
            self.running.spawn(work);
        }
    }

    async fn work(&self, job: &Job, permit: OwnedSemaphorePermit) {
        let Self {
            store,
            processor,
            options,
            on_event,
            ..
        } = self;
        notify(on_event, Event::Begun(job));
        let attempt = process(store, processor.as_ref(), job, options).await;
        drop(permit);
        match conclude(store, job, attempt, &options.retries).await {
            End::Finished(finished) => notify(on_event, Event::Finished(&finished)),
            End::Unclear => notify(on_event, Event::Unclear(&job.username)),
            End::Later(run_at) => notify(on_event, Event::Again { job, run_at }),
            End::Lost => {}
        }
    }

    /// Waits until a message is due, or one was accepted that waits. Returns at once, and `true`, if something was due at the time
    /// of a claim `in_vain`; after a second one that came `again`, it waits for a moment.
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
        } else {
            self.is_idle.store(millis > 0, Ordering::Release);
        }
        tokio::select! {
            () = self.store.queued().notified() => {}
            () = sleep(until_due) => {}
        }
        false
    }
}

/// Nothing that is under way outlives it.
impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.give_up.cancel();
    }
}

/// Takes messages as they are accepted.
struct AtOnce {
    shared: Weak<Shared>,
    lease: Duration,
}

impl WorksAtOnce for AtOnce {
    fn reserve(&self) -> Option<Box<dyn Room>> {
        let shared = self.shared.upgrade()?;
        let running = shared.running.token();
        let ends = shared.running.is_closed() || shared.give_up.is_cancelled();
        if ends || !shared.is_idle.load(Ordering::Acquire) || !shared.processor.is_ready() {
            return None;
        }
        let permit = shared.try_permit()?;
        Some(Box::new(Reserved {
            _running: running,
            shared,
            permit,
        }))
    }

    fn lease(&self) -> Duration {
        self.lease
    }
}

/// Room for a message that is being accepted. The worker does not end before it.
struct Reserved {
    shared: Arc<Shared>,
    permit: Permit,
    _running: TaskTrackerToken,
}

impl Room for Reserved {
    fn begin(self: Box<Self>, job: Job) {
        self.shared.start(job, self.permit);
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
