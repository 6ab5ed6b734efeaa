//! The worker on a real database.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod crashes;
mod retries;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::Role;
use herald_store::{
    Accepted, CreateUser, Delay, Finished, Job, Message, Seq, Status, Store, StoreOptions,
    Timestamp, User,
};
use herald_worker::{Echo, Event, Failure, Processor, Retries, Worker, WorkerOptions};
use tempfile::TempDir;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(20);

struct Bench {
    dir: TempDir,
    store: Store,
    alice: User,
}

impl Bench {
    async fn new(delay_ms: u64) -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open(StoreOptions::sqlite(&dir.path().join("herald.db")))
            .await
            .unwrap();
        store
            .set_delay(Delay::Fixed { ms: delay_ms }, false)
            .await
            .unwrap();
        let created = store
            .create_user(&"alice".parse().unwrap(), Role::User, "x", Timestamp::now())
            .await
            .unwrap();
        let CreateUser::Created(alice) = created else {
            panic!("the name is free")
        };
        Self { dir, store, alice }
    }

    async fn send(&self, body: &str) -> Message {
        let accepted = self
            .store
            .accept(&self.alice.id, body.into(), None, Timestamp::now())
            .await;
        match accepted.unwrap() {
            Accepted::New(message) => message,
            other => panic!("{other:?}"),
        }
    }

    async fn status(&self, message: &Message) -> Message {
        self.store
            .message(&self.alice.id, &message.id)
            .await
            .unwrap()
            .unwrap()
    }
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
    finished: mpsc::Receiver<Finished>,
    /// What was told before: of which attempt, and when the next one is due if it failed.
    before: mpsc::UnboundedReceiver<(i64, Option<Timestamp>)>,
}

impl Running {
    fn start(store: &Store, processor: impl Processor, concurrency: u32, lease: Duration) -> Self {
        let options = WorkerOptions {
            concurrency,
            lease,
            ..OPTIONS
        };
        Self::start_with(store, processor, options)
    }

    fn start_with(store: &Store, processor: impl Processor, options: WorkerOptions) -> Self {
        let (tx, finished) = mpsc::channel(4096);
        let (told, before) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let worker = Worker::new(
            store.clone(),
            Arc::new(processor),
            options,
            Arc::new(move |event: Event<'_>| match event {
                Event::Begun(job) => told.send((job.attempt, None)).unwrap(),
                Event::Again { job, run_at } => told.send((job.attempt, Some(run_at))).unwrap(),
                Event::Finished(finished) => tx.try_send(finished.clone()).unwrap(),
                Event::Unclear(_) => {}
            }),
        );
        let task = tokio::spawn(worker.run(stop.clone()));
        Self {
            stop,
            task,
            finished,
            before,
        }
    }

    async fn next(&mut self) -> Finished {
        timeout(LIMIT, self.finished.recv()).await.unwrap().unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(LIMIT, self.task).await.unwrap().unwrap();
    }
}

const LEASE: Duration = Duration::from_secs(30);

const OPTIONS: WorkerOptions = WorkerOptions {
    concurrency: 4,
    lease: LEASE,
    time_limit: LIMIT,
    retries: Retries {
        max_attempts: 3,
        backoff: Duration::from_millis(20),
    },
    grace: LIMIT,
};

#[tokio::test]
async fn a_message_that_is_due_is_processed_and_its_notification_numbered() {
    let bench = Bench::new(0).await;
    let mut worker = Running::start(&bench.store, Echo, 4, LEASE);
    let sent = bench.send("hello").await;
    let finished = worker.next().await;
    assert_eq!(finished.notification.seq, Seq(1));
    let message = bench.status(&sent).await;
    assert_eq!(message.status, Status::Processed);
    assert_eq!(message.result.as_deref(), Some("hello"));
    worker.stop().await;
}

/// Waiting costs no worker: with room for one, and a thousand waiting, another message goes through at once.
#[tokio::test]
async fn a_thousand_waiting_messages_delay_nobody_elses() {
    let bench = Bench::new(600_000).await;
    let waiting = futures_util::future::join_all((0..1000).map(|_| bench.send("later"))).await;
    let mut worker = Running::start(&bench.store, Echo, 1, LEASE);
    bench
        .store
        .set_delay(Delay::Fixed { ms: 0 }, false)
        .await
        .unwrap();
    let now = bench.send("now").await;
    let finished = worker.next().await;
    assert!(finished.notification.payload.contains(now.id.as_str()));
    assert_eq!(bench.status(&waiting[0]).await.status, Status::Queued);
    worker.stop().await;
}

/// Blocks until a permit is there; counts how often it began.
struct Gate {
    open: Arc<Semaphore>,
    begun: Arc<AtomicU32>,
}

impl Processor for Gate {
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, Failure>> {
        async {
            self.begun.fetch_add(1, Ordering::SeqCst);
            self.open.acquire().await.unwrap().forget();
            Ok(job.body.clone())
        }
        .boxed()
    }
}

async fn until(what: impl Fn() -> bool) {
    timeout(LIMIT, async {
        while !what() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn stopping_ends_what_is_claimed_first() {
    let bench = Bench::new(0).await;
    let (open, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU32::new(0)));
    let gate = Gate {
        open: open.clone(),
        begun: begun.clone(),
    };
    let worker = Running::start(&bench.store, gate, 1, LEASE);
    let sent = bench.send("hello").await;
    until(|| begun.load(Ordering::SeqCst) == 1).await;
    worker.stop.cancel();
    open.add_permits(1);
    worker.stop().await;
    assert_eq!(bench.status(&sent).await.status, Status::Processed);
}

/// The lease is renewed while the processor runs, so no other worker gets the message.
#[tokio::test]
async fn a_message_that_takes_longer_than_its_lease_is_not_claimed_twice() {
    let bench = Bench::new(0).await;
    let (open, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU32::new(0)));
    let gate = || Gate {
        open: open.clone(),
        begun: begun.clone(),
    };
    let lease = Duration::from_millis(600);
    let sent = bench.send("slow").await;
    let mut first = Running::start(&bench.store, gate(), 1, lease);
    until(|| begun.load(Ordering::SeqCst) == 1).await;
    let claimed_at = Timestamp::now().as_millis();
    let second = Running::start(&bench.store, gate(), 1, lease);
    // Two leases later, by the clock that leases go by.
    until(|| Timestamp::now().as_millis() > claimed_at + 1200).await;
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    open.add_permits(1);
    first.next().await;
    assert_eq!(bench.status(&sent).await.attempts, 1);
    first.stop().await;
    second.stop().await;
}

/// A process that dies while it works: nothing is stopped, nothing is told. Another takes the message over.
#[tokio::test]
async fn a_message_whose_worker_died_is_processed_by_the_next() {
    let bench = Bench::new(0).await;
    let begun = Arc::new(AtomicU32::new(0));
    let never = Gate {
        open: Arc::new(Semaphore::new(0)),
        begun: begun.clone(),
    };
    let dying = Running::start(&bench.store, never, 1, Duration::from_millis(300));
    let sent = bench.send("hello").await;
    until(|| begun.load(Ordering::SeqCst) == 1).await;
    dying.task.abort();
    let _ = dying.task.await;

    let again = Store::open(StoreOptions::sqlite(&bench.dir.path().join("herald.db")))
        .await
        .unwrap();
    let mut worker = Running::start(&again, Echo, 1, LEASE);
    let finished = worker.next().await;
    assert_eq!(finished.notification.seq, Seq(1));
    assert_eq!(bench.status(&sent).await.attempts, 2);
    worker.stop().await;
}

struct Broken;

impl Processor for Broken {
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, Failure>> {
        async {
            match job.body.as_str() {
                "later" => Err(Failure::Retry {
                    error: "not now".into(),
                    after: None,
                }),
                _ => Err(Failure::Final { error: "no".into() }),
            }
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_processor_that_fails_fails_the_message_and_its_owner_hears_of_it() {
    let bench = Bench::new(0).await;
    let mut worker = Running::start(&bench.store, Broken, 4, LEASE);
    for (body, error) in [("later", "not now"), ("refuse", "no")] {
        let sent = bench.send(body).await;
        let finished = worker.next().await;
        assert!(finished.notification.payload.contains("message.failed"));
        let message = bench.status(&sent).await;
        assert_eq!(
            (message.status, message.error.as_deref()),
            (Status::Dead, Some(error))
        );
    }
    worker.stop().await;
}

/// Says how many messages it takes: none as long as that is 0.
struct Choosy {
    most: watch::Receiver<u32>,
    under_way: AtomicU32,
    highest: Arc<AtomicU32>,
}

impl Processor for Choosy {
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, Failure>> {
        async {
            let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.highest.fetch_max(now, Ordering::SeqCst);
            tokio::task::yield_now().await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            Ok(job.body.clone())
        }
        .boxed()
    }

    fn ready(&self) -> BoxFuture<'_, NonZeroU32> {
        let mut most = self.most.clone();
        async move {
            let most = *most.wait_for(|most| *most > 0).await.unwrap();
            NonZeroU32::new(most).unwrap()
        }
        .boxed()
    }
}

#[tokio::test]
async fn nothing_is_claimed_before_the_processor_is_ready_nor_more_than_it_takes() {
    let bench = Bench::new(0).await;
    let (most, receiver) = watch::channel(0);
    let highest = Arc::new(AtomicU32::new(0));
    let choosy = Choosy {
        most: receiver,
        under_way: AtomicU32::new(0),
        highest: highest.clone(),
    };
    let mut worker = Running::start(&bench.store, choosy, 16, LEASE);
    let sent = futures_util::future::join_all((0..50).map(|_| bench.send("hello"))).await;
    let waiting = bench.status(&sent[0]).await;
    assert_eq!((waiting.status, waiting.attempts), (Status::Queued, 0));
    most.send(2).unwrap();
    for _ in 0..50 {
        worker.next().await;
    }
    assert_eq!(bench.status(&sent[0]).await.attempts, 1);
    assert!(highest.load(Ordering::SeqCst) <= 2);
    worker.stop().await;
}

#[tokio::test]
async fn a_processor_that_is_never_ready_does_not_hold_up_the_stop() {
    let bench = Bench::new(0).await;
    let (_most, receiver) = watch::channel(0);
    let choosy = Choosy {
        most: receiver,
        under_way: AtomicU32::new(0),
        highest: Arc::default(),
    };
    let worker = Running::start(&bench.store, choosy, 16, LEASE);
    let sent = bench.send("hello").await;
    worker.stop().await;
    assert_eq!(bench.status(&sent).await.status, Status::Queued);
}

#[tokio::test]
async fn a_paused_queue_is_not_worked_on_until_it_is_resumed() {
    let bench = Bench::new(0).await;
    bench.store.pause().await.unwrap();
    let mut worker = Running::start(&bench.store, Echo, 1, LEASE);
    let sent = bench.send("hello").await;
    // A claim has found nothing since.
    let none = bench.store.claim(1, LEASE, Timestamp::now()).await;
    assert_eq!(none.unwrap(), []);
    assert_eq!(bench.status(&sent).await.status, Status::Queued);
    bench.store.resume().await.unwrap();
    worker.next().await;
    worker.stop().await;
}

/// Takes one message at a time, and counts how often it is asked whether it takes one.
struct OneAtATime {
    asked: Arc<AtomicU32>,
    go_on: Arc<Semaphore>,
}

impl Processor for OneAtATime {
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, Failure>> {
        async {
            self.go_on.acquire().await.unwrap().forget();
            Ok(job.body.clone())
        }
        .boxed()
    }

    fn ready(&self) -> BoxFuture<'_, NonZeroU32> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        std::future::ready(NonZeroU32::MIN).boxed()
    }
}

#[tokio::test]
async fn a_worker_with_free_slots_waits_for_a_processor_that_takes_no_more() {
    let bench = Bench::new(0).await;
    let (asked, go_on) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
    let processor = OneAtATime {
        asked: asked.clone(),
        go_on: go_on.clone(),
    };
    for _ in 0..3 {
        bench.send("hello").await;
    }
    let mut worker = Running::start(&bench.store, processor, 8, LEASE);
    for _ in 0..3 {
        // As many turns as a worker that does not wait would use to ask.
        for _ in 0..2_000 {
            tokio::task::yield_now().await;
        }
        go_on.add_permits(1);
        worker.next().await;
    }
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked < 30, "asked {asked} times");
    worker.stop().await;
}
