//! Queues that another server has locked.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_store::{Job, StoreOptions};
use herald_test_databases::{DatabaseKind, TestDatabase};
use herald_worker::{Failure, Processor};
use sqlx::{AnyConnection, Connection as _, Executor as _};

use crate::bench::{Bench, LEASE, Running, until};

/// Counts how often it was asked whether it is ready, which is before each claim.
struct Asked(Arc<AtomicUsize>);

impl Processor for Asked {
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, Failure>> {
        async { Ok(job.body.clone()) }.boxed()
    }

    fn ready(&self) -> BoxFuture<'_, NonZeroU32> {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::ready(NonZeroU32::MAX).boxed()
    }
}

/// A claim passes over what another server has locked, although it is due. It is not tried again without a pause.
#[tokio::test]
async fn a_locked_queue_is_looked_at_again_and_again_with_pauses_until_it_is_free() {
    let Some(database) = TestDatabase::empty(DatabaseKind::Postgres).await else {
        return;
    };
    let bench = Bench::on(StoreOptions::at(database.url().into()), 0).await;
    bench.send("hello").await;
    let mut other = AnyConnection::connect(database.url()).await.unwrap();
    let lock = "BEGIN; SELECT user_id FROM user_queues FOR UPDATE";
    other.execute(lock).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut worker = Running::start(&bench.store, Asked(asked.clone()), 4, LEASE);
    // There is a pause of 20 ms after each second one, but one of them may be cut short by what was sent.
    until(|| asked.load(Ordering::SeqCst) > 22).await;
    assert!(
        begun.elapsed() >= Duration::from_millis(200),
        "{:?}",
        begun.elapsed()
    );
    other.execute("ROLLBACK").await.unwrap();
    worker.next().await;
    worker.stop().await;
    bench.store.close().await;
}
