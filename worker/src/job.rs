//! One claimed message, from its claim to its end.

use std::time::Duration;

use futures_util::FutureExt as _;
use herald_store::{Finished, Job, Outcome, Store, StoreError, Timestamp};
use tokio::time::{Instant, interval_at, sleep};

use crate::{Failure, Processor};

/// How often the end of a message is tried to be written, with a growing pause between.
const FINISH_ATTEMPTS: u32 = 6;

/// The first pause between two tries.
const FINISH_PAUSE: Duration = Duration::from_millis(100);

/// What became of a claimed message.
pub(crate) enum End {
    Finished(Finished),
    /// An answer of the database was lost: the message may have ended.
    Unclear,
    /// It is no longer this worker's to finish: it will be claimed again, or has been.
    Lost,
}

/// Works on `job`.
pub(crate) async fn work(
    store: &Store,
    processor: &dyn Processor,
    job: &Job,
    lease: Duration,
) -> End {
    let Some(outcome) = process(store, processor, job, lease).await else {
        return End::Lost;
    };
    let mut pause = FINISH_PAUSE;
    for attempt in 1..=FINISH_ATTEMPTS {
        match store.finish(job, outcome.clone(), Timestamp::now()).await {
            Ok(Some(finished)) => return End::Finished(finished),
            Ok(None) if attempt == 1 => return End::Lost,
            Ok(None) | Err(StoreError::Closed) => return End::Unclear,
            Err(e) => {
                tracing::error!(message = %job.id, attempt, error = %e, "the end of a message could not be written")
            }
        }
        sleep(pause).await;
        pause *= 2;
    }
    End::Unclear
}

/// Runs the processor and renews the lease meanwhile.
async fn process(
    store: &Store,
    processor: &dyn Processor,
    job: &Job,
    lease: Duration,
) -> Option<Outcome> {
    // A processor that panics fails its message, not the worker.
    let processing = std::panic::AssertUnwindSafe(processor.process(job)).catch_unwind();
    tokio::pin!(processing);
    let third = lease / 3;
    let mut renewal = interval_at(Instant::now() + third, third);
    loop {
        tokio::select! {
            result = &mut processing => {
                let crashed = |_| Err(Failure::Final { error: "the processor crashed".into() });
                return Some(match result.unwrap_or_else(crashed) {
                    Ok(result) => Outcome::Processed { result },
                    Err(Failure::Retry { error, .. } | Failure::Final { error }) => Outcome::Dead { error },
                });
            }
            _ = renewal.tick() => match store.renew(job, lease, Timestamp::now()).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!(message = %job.id, "lost the lease of a message; another worker has it");
                    return None;
                }
                Err(e) => tracing::warn!(message = %job.id, error = %e, "a lease could not be renewed"),
            },
        }
    }
}
