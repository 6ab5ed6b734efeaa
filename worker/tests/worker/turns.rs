//! What is due is processed, and its owner notified.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_store::{Delay, Job, Seq, Status, Timestamp};
use herald_worker::{Echo, Failure, Processor};

use crate::bench::{Bench, LEASE, Running};

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

/// Is always ready, counts how often it is asked before a claim, and how many messages are under way at most.
#[derive(Clone, Default)]
struct Counting(Arc<Counts>);

#[derive(Default)]
struct Counts {
    asked: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Processor for Counting {
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, Failure>> {
        async {
            let under_way = self.0.under_way.fetch_add(1, SeqCst) + 1;
            self.0.most.fetch_max(under_way, SeqCst);
            tokio::task::yield_now().await;
            self.0.under_way.fetch_sub(1, SeqCst);
            Ok(job.body.clone())
        }
        .boxed()
    }

    fn ready(&self) -> BoxFuture<'_, NonZeroU32> {
        self.0.asked.fetch_add(1, SeqCst);
        std::future::ready(NonZeroU32::MAX).boxed()
    }

    fn is_ready(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_message_that_is_due_begins_as_it_is_accepted_without_a_claim() {
    let bench = Bench::new(0).await;
    let counting = Counting::default();
    let mut worker = Running::start(&bench.store, counting.clone(), 2, LEASE);
    // The worker looks at the queue now and then without a reason, too.
    let mut tries = 0..50;
    loop {
        assert!(tries.next().is_some(), "each was claimed");
        let before = counting.0.asked.load(SeqCst);
        bench.send("hello").await;
        worker.next().await;
        if counting.0.asked.load(SeqCst) == before {
            break;
        }
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_messages_begin_no_more_are_under_way_than_there_is_room_for() {
    let bench = Bench::new(0).await;
    let counting = Counting::default();
    let mut worker = Running::start(&bench.store, counting.clone(), 2, LEASE);
    for _ in 0..20 {
        futures_util::future::join_all((0..40).map(|_| bench.send("hello"))).await;
    }
    for _ in 0..20 * 40 {
        worker.next().await;
    }
    assert!(counting.0.most.load(SeqCst) <= 2);
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
