//! A worker under test, and the database that it works on.

use std::{sync::Arc, time::Duration};

use herald_acl::Role;
use herald_store::{
    Accepted, CreateUser, Delay, Finished, Message, Store, StoreOptions, Timestamp, User,
};
use herald_worker::{Event, Processor, Retries, Worker, WorkerOptions};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) store: Store,
    pub(crate) alice: User,
}

impl Bench {
    pub(crate) async fn new(delay_ms: u64) -> Self {
        let dir = TempDir::new().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        Self::make(dir, options, delay_ms).await
    }

    /// On another database than a file.
    pub(crate) async fn on(options: StoreOptions, delay_ms: u64) -> Self {
        Self::make(TempDir::new().unwrap(), options, delay_ms).await
    }

    async fn make(dir: TempDir, options: StoreOptions, delay_ms: u64) -> Self {
        let store = Store::open(options).await.unwrap();
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

    pub(crate) async fn send(&self, body: &str) -> Message {
        let accepted = self
            .store
            .accept(&self.alice.id, body.into(), None, Timestamp::now())
            .await;
        match accepted.unwrap() {
            Accepted::New(message) => message,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn status(&self, message: &Message) -> Message {
        self.store
            .message(&self.alice.id, &message.id)
            .await
            .unwrap()
            .unwrap()
    }
}

pub(crate) struct Running {
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
    pub(crate) finished: mpsc::Receiver<Finished>,
    /// What was told before: of which attempt, and when the next one is due if it failed.
    pub(crate) before: mpsc::UnboundedReceiver<(i64, Option<Timestamp>)>,
}

impl Running {
    pub(crate) fn start(
        store: &Store,
        processor: impl Processor,
        concurrency: u32,
        lease: Duration,
    ) -> Self {
        let options = WorkerOptions {
            concurrency,
            lease,
            ..OPTIONS
        };
        Self::start_with(store, processor, options)
    }

    pub(crate) fn start_with(
        store: &Store,
        processor: impl Processor,
        options: WorkerOptions,
    ) -> Self {
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

    pub(crate) async fn next(&mut self) -> Finished {
        timeout(LIMIT, self.finished.recv()).await.unwrap().unwrap()
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        timeout(LIMIT, self.task).await.unwrap().unwrap();
    }
}

pub(crate) const LEASE: Duration = Duration::from_secs(30);

pub(crate) const OPTIONS: WorkerOptions = WorkerOptions {
    concurrency: 4,
    lease: LEASE,
    time_limit: LIMIT,
    retries: Retries {
        max_attempts: 3,
        backoff: Duration::from_millis(20),
    },
    grace: LIMIT,
};

pub(crate) async fn until(what: impl Fn() -> bool) {
    timeout(LIMIT, async {
        while !what() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}
