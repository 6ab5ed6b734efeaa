//! Processors that take no more than they say.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_store::{Job, Status};
use herald_worker::{Failure, Processor};
use tokio::sync::{Semaphore, watch};

use crate::bench::{Bench, LEASE, Running};

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
