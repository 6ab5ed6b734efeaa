//! Attempts that fail or take too long.

use std::time::Duration;

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_store::{Job, Moved, Seq, Status, Timestamp};
use herald_worker::{Echo, Failure, Processor, WorkerOptions};
use tokio::time::timeout;

use crate::bench::{Bench, LEASE, LIMIT, OPTIONS, Running};

/// Fails each message so often, then echoes it.
struct Fails {
    times: i64,
    failure: Failure,
}

impl Processor for Fails {
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, Failure>> {
        let failed = (job.attempt <= self.times).then(|| self.failure.clone());
        async { failed.map_or_else(|| Ok(job.body.clone()), Err) }.boxed()
    }
}

fn busy(after: Option<Duration>) -> Failure {
    let error = "busy".into();
    Failure::Retry { error, after }
}

#[tokio::test]
async fn what_fails_is_tried_again_until_it_succeeds() {
    let bench = Bench::new(0).await;
    let fails = Fails {
        times: 2,
        failure: busy(None),
    };
    let mut worker = Running::start(&bench.store, fails, 1, LEASE);
    let sent = bench.send("hello").await;
    worker.next().await;
    let message = bench.status(&sent).await;
    assert_eq!((message.status, message.attempts), (Status::Processed, 3));
    assert_eq!(message.error, None);
    let failed = bench
        .store
        .failed_attempts(&sent.id, 100)
        .await
        .unwrap()
        .items;
    let failed: Vec<_> = failed
        .iter()
        .map(|f| (f.attempt, f.error.as_str()))
        .collect();
    assert_eq!(failed, [(2, "busy"), (1, "busy")]);
    worker.stop().await;
}

#[tokio::test]
async fn each_attempt_and_its_failure_is_told_of() {
    let bench = Bench::new(0).await;
    let wait = Duration::from_millis(1);
    let fails = Fails {
        times: 2,
        failure: busy(Some(wait)),
    };
    let mut worker = Running::start(&bench.store, fails, 1, LEASE);
    let sent = bench.send("hello").await;
    worker.next().await;
    let mut told = vec![];
    while let Ok(event) = worker.before.try_recv() {
        told.push(event);
    }
    told.sort_unstable();
    let began_or_failed = told
        .iter()
        .map(|(attempt, run_at)| (*attempt, run_at.is_some()));
    let expected = [(1, false), (1, true), (2, false), (2, true), (3, false)];
    assert!(began_or_failed.eq(expected), "{told:?}");
    let last_due = told[3].1.unwrap();
    assert_eq!(bench.status(&sent).await.run_at, last_due);
    worker.stop().await;
}

#[tokio::test]
async fn after_the_last_attempt_a_message_is_dead_and_its_owner_told() {
    let bench = Bench::new(0).await;
    let fails = Fails {
        times: i64::MAX,
        failure: busy(None),
    };
    let mut worker = Running::start(&bench.store, fails, 1, LEASE);
    let sent = bench.send("hello").await;
    let told = worker.next().await.notification.payload;
    assert!(told.contains(r#""type":"message.failed""#), "{told}");
    assert!(told.contains(r#""error":"busy""#), "{told}");
    let message = bench.status(&sent).await;
    assert_eq!((message.status, message.attempts), (Status::Dead, 3));
    let failed = bench
        .store
        .failed_attempts(&sent.id, 100)
        .await
        .unwrap()
        .items;
    assert_eq!(failed.len(), 3);

    // Put back by an administrator, it has all its attempts again.
    let moved = bench.store.retry(&sent.id, Timestamp::now()).await.unwrap();
    assert_eq!(moved, Moved::Done);
    assert_eq!(worker.next().await.notification.seq, Seq(2));
    assert_eq!(bench.status(&sent).await.attempts, 6);
    worker.stop().await;
}

#[tokio::test]
async fn what_fails_for_good_is_not_tried_again() {
    let bench = Bench::new(0).await;
    let error = "never".to_owned();
    let fails = Fails {
        times: i64::MAX,
        failure: Failure::Final { error },
    };
    let mut worker = Running::start(&bench.store, fails, 1, LEASE);
    let sent = bench.send("hello").await;
    worker.next().await;
    let message = bench.status(&sent).await;
    assert_eq!((message.status, message.attempts), (Status::Dead, 1));
    worker.stop().await;
}

#[tokio::test]
async fn an_attempt_while_there_is_nobody_to_ask_is_none() {
    let bench = Bench::new(0).await;
    let fails = Fails {
        times: i64::MAX,
        failure: Failure::Outage {
            error: "out of order".into(),
            after: Some(Duration::from_millis(1)),
        },
    };
    let sent = bench.send("hello").await;
    let mut worker = Running::start(&bench.store, fails, 1, LEASE);
    // More often than it may fail.
    let mut put_back = 0;
    while put_back < 5 {
        let told = timeout(LIMIT, worker.before.recv()).await.unwrap().unwrap();
        assert_eq!(told.0, 1);
        put_back += usize::from(told.1.is_some());
    }
    worker.stop.cancel();
    timeout(LIMIT, &mut worker.task).await.unwrap().unwrap();
    let message = bench.status(&sent).await;
    assert_eq!((message.status, message.attempts), (Status::Queued, 0));
    assert_eq!(message.error.as_deref(), Some("out of order"));
    let failed = bench
        .store
        .failed_attempts(&sent.id, 100)
        .await
        .unwrap()
        .items;
    assert_eq!(failed, []);

    // All its attempts are ahead of it.
    let fails = Fails {
        times: 2,
        failure: busy(None),
    };
    let mut worker = Running::start(&bench.store, fails, 1, LEASE);
    worker.next().await;
    let message = bench.status(&sent).await;
    assert_eq!((message.status, message.attempts), (Status::Processed, 3));
    worker.stop().await;
}

/// What failed waits in the queue as long as it was asked to, and occupies no worker.
#[tokio::test]
async fn a_message_that_waits_for_its_next_attempt_delays_no_other() {
    let bench = Bench::new(0).await;
    let hour = Duration::from_secs(3600);
    let fails = Fails {
        times: 1,
        failure: busy(Some(hour)),
    };
    let first = bench.send("first").await;
    let mut worker = Running::start(&bench.store, fails, 1, LEASE);
    let waits = timeout(LIMIT, async {
        loop {
            let message = bench.status(&first).await;
            if message.error.is_some() {
                return message;
            }
            tokio::task::yield_now().await;
        }
    });
    let waits = waits.await.unwrap();
    assert_eq!(waits.status, Status::Queued);
    assert!(waits.run_at >= waits.created_at + hour);
    worker.stop.cancel();
    timeout(LIMIT, &mut worker.task).await.unwrap().unwrap();

    let mut worker = Running::start(&bench.store, Echo, 1, LEASE);
    let second = bench.send("second").await;
    worker.next().await;
    assert_eq!(bench.status(&second).await.status, Status::Processed);
    assert_eq!(bench.status(&first).await.status, Status::Queued);
    worker.stop().await;
}

/// Never answers the first attempt of a message.
struct Stuck;

impl Processor for Stuck {
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, Failure>> {
        async {
            if job.attempt == 1 {
                std::future::pending::<()>().await;
            }
            Ok(job.body.clone())
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_processor_that_is_stuck_is_given_up_and_asked_again() {
    let bench = Bench::new(0).await;
    let options = WorkerOptions {
        concurrency: 1,
        time_limit: Duration::from_millis(50),
        ..OPTIONS
    };
    let mut worker = Running::start_with(&bench.store, Stuck, options);
    let sent = bench.send("hello").await;
    worker.next().await;
    let failed = bench
        .store
        .failed_attempts(&sent.id, 100)
        .await
        .unwrap()
        .items;
    assert_eq!(failed[0].error, "it took longer than 50ms");
    let message = bench.status(&sent).await;
    assert_eq!((message.status, message.attempts), (Status::Processed, 2));
    worker.stop().await;
}
