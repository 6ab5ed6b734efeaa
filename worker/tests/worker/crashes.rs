//! What panics, be it the processor, who is told, or the log: it costs an attempt at most, and no message its life.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_store::{Job, Status, Store};
use herald_worker::{Event, Failure, Processor, Retries, Worker, WorkerOptions};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, LEASE, LIMIT, OPTIONS, Running};

/// Where a processor panics.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// In the call, before there is a future.
    Call,
    /// In the future.
    Future,
    /// When it is asked whether it is ready.
    Ready,
}

/// Panics there a number of times, then echoes.
struct Panics {
    place: Where,
    left: AtomicU32,
}

impl Panics {
    fn new(place: Where, times: u32) -> Self {
        let left = AtomicU32::new(times);
        Self { place, left }
    }

    fn panic_at(&self, place: Where) {
        let less = |left: u32| left.checked_sub(1);
        let again = || {
            self.left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        };
        assert!(
            self.place != place || again().is_err(),
            "a bug in the processor"
        );
    }
}

impl Processor for Panics {
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, Failure>> {
        self.panic_at(Where::Call);
        async {
            self.panic_at(Where::Future);
            Ok(job.body.clone())
        }
        .boxed()
    }

    fn ready(&self) -> BoxFuture<'_, std::num::NonZeroU32> {
        self.panic_at(Where::Ready);
        std::future::ready(std::num::NonZeroU32::MAX).boxed()
    }
}

/// One attempt is all there is.
const ONE_ATTEMPT: WorkerOptions = WorkerOptions {
    retries: Retries {
        max_attempts: 1,
        ..OPTIONS.retries
    },
    ..OPTIONS
};

#[tokio::test]
async fn an_attempt_that_crashes_has_failed_and_its_message_lives_however_often() {
    for place in [Where::Call, Where::Future] {
        let bench = Bench::new(0).await;
        let sent = bench.send("hello").await;
        let mut worker = Running::start_with(&bench.store, Panics::new(place, 2), ONE_ATTEMPT);
        worker.next().await;
        let message = bench.status(&sent).await;
        assert_eq!((message.status, message.attempts), (Status::Processed, 3));
        let failed = bench
            .store
            .failed_attempts(&sent.id, 100)
            .await
            .unwrap()
            .items;
        let failed: Vec<_> = failed.iter().map(|f| f.error.as_str()).collect();
        assert_eq!(failed, ["the processor crashed"; 2]);
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_processor_that_crashes_when_it_is_asked_does_not_end_the_worker() {
    let bench = Bench::new(0).await;
    let sent = bench.send("hello").await;
    let mut worker = Running::start_with(&bench.store, Panics::new(Where::Ready, 1), ONE_ATTEMPT);
    worker.next().await;
    let message = bench.status(&sent).await;
    assert_eq!((message.status, message.attempts), (Status::Processed, 1));
    worker.stop().await;
}

/// A worker whose every event is told to somebody who panics.
fn told_in_vain(
    store: &Store,
    processor: impl Processor,
) -> (Worker, mpsc::UnboundedReceiver<bool>) {
    let (sender, ended) = mpsc::unbounded_channel();
    let tell = move |event: Event<'_>| {
        sender.send(matches!(event, Event::Finished(_))).unwrap();
        panic!("a bug in who is told");
    };
    let worker = Worker::new(
        store.clone(),
        Arc::new(processor),
        ONE_ATTEMPT,
        Arc::new(tell),
    );
    (worker, ended)
}

#[tokio::test]
async fn who_is_told_may_crash_and_the_message_goes_on() {
    let bench = Bench::new(0).await;
    let sent = bench.send("hello").await;
    let (worker, mut told) = told_in_vain(&bench.store, herald_worker::Echo);
    let stop = CancellationToken::new();
    let working = tokio::spawn(worker.run(stop.clone()));
    while let Some(finished) = tokio::time::timeout(LIMIT, told.recv()).await.unwrap() {
        if finished {
            break;
        }
    }
    let message = bench.status(&sent).await;
    assert_eq!((message.status, message.attempts), (Status::Processed, 1));
    assert!(LEASE > LIMIT, "it was not claimed again");
    stop.cancel();
    tokio::time::timeout(LIMIT, working).await.unwrap().unwrap();
}
