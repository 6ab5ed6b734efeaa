//! Leases of messages that are being processed, while the worker lives and when it does not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_store::{Job, Seq, Status, Store, StoreOptions, Timestamp};
use herald_worker::{Echo, Failure, Processor};
use tokio::sync::Semaphore;

use crate::bench::{Bench, LEASE, Running, until};

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
    let lease = Duration::from_secs(3);
    let sent = bench.send("slow").await;
    let mut first = Running::start(&bench.store, gate(), 1, lease);
    until(|| begun.load(Ordering::SeqCst) == 1).await;
    let claimed_at = Timestamp::now().as_millis();
    let second = Running::start(&bench.store, gate(), 1, lease);
    // Two leases later, by the clock that leases go by.
    until(|| Timestamp::now().as_millis() > claimed_at + 6000).await;
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
