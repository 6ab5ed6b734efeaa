//! One claimed message, from its claim to its end.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use herald_store::{Finished, Job, Outcome, Store, StoreError, Timestamp};
use tokio::time::{Instant, interval_at, sleep, timeout};

use crate::{Failure, Processor, Retries, WorkerOptions};

/// How often the end of a message is tried to be written, with a growing pause between.
const WRITE_ATTEMPTS: u32 = 6;

/// The first pause between two tries.
const WRITE_PAUSE: Duration = Duration::from_millis(100);

/// What became of a claimed message.
pub(crate) enum End {
    Finished(Finished),
    /// It failed and is tried again then.
    Later(Timestamp),
    /// An answer of the database was lost: the message may have ended.
    Unclear,
    /// It is no longer this worker's to finish: it will be claimed again, or has been.
    Lost,
}

/// Runs the processor, for no longer than it may take, and renews the lease meanwhile. `None` if the lease was lost.
pub(crate) async fn process(
    store: &Store,
    processor: &dyn Processor,
    job: &Job,
    options: &WorkerOptions,
) -> Option<Result<String, Failure>> {
    // A processor that panics fails its message, not the worker.
    let processing = AssertUnwindSafe(processor.process(job)).catch_unwind();
    let processing = timeout(options.time_limit, processing);
    // Beside each other: an answer that is there in time must not wait for the database.
    let result = tokio::select! {
        result = processing => result,
        () = renew_until_lost(store, job, options.lease) => return None,
    };
    let failed = |error: String| Err(Failure::Retry { error, after: None });
    Some(match result {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => failed("the processor crashed".into()),
        Err(_elapsed) => failed(format!("it took longer than {:?}", options.time_limit)),
    })
}

/// Renews the lease of `job` until it is lost.
async fn renew_until_lost(store: &Store, job: &Job, lease: Duration) {
    let third = lease / 3;
    let mut renewal = interval_at(Instant::now() + third, third);
    loop {
        renewal.tick().await;
        match store.renew(job, lease, Timestamp::now()).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(message = %job.id, "lost the lease of a message; another worker has it");
                return;
            }
            Err(e) => {
                tracing::warn!(message = %job.id, error = %e, "a lease could not be renewed");
            }
        }
    }
}

/// What is written about an attempt.
enum Verdict {
    Over(Outcome),
    Again { error: String, run_at: Timestamp },
}

impl Verdict {
    fn of(result: Result<String, Failure>, job: &Job, retries: &Retries) -> Self {
        let (error, pause) = match result {
            Ok(result) => return Self::Over(Outcome::Processed { result }),
            Err(Failure::Final { error }) => (error, None),
            Err(Failure::Retry { error, after }) => {
                let failures = u32::try_from(job.failures + 1).unwrap_or(u32::MAX);
                (error, retries.pause(failures, after, &mut rand::rng()))
            }
        };
        match pause {
            Some(pause) => {
                let run_at = Timestamp::now() + pause;
                Self::Again { error, run_at }
            }
            None => Self::Over(Outcome::Dead { error }),
        }
    }

    async fn write(&self, store: &Store, job: &Job) -> Result<Option<End>, StoreError> {
        let now = Timestamp::now();
        match self {
            Self::Over(outcome) => {
                let finished = store.finish(job, outcome.clone(), now).await?;
                Ok(finished.map(End::Finished))
            }
            Self::Again { error, run_at } => {
                let put_back = store.retry_later(job, error.clone(), *run_at, now).await?;
                Ok(put_back.then_some(End::Later(*run_at)))
            }
        }
    }
}

/// Writes what came of an attempt.
pub(crate) async fn conclude(
    store: &Store,
    job: &Job,
    result: Result<String, Failure>,
    retries: &Retries,
) -> End {
    let verdict = Verdict::of(result, job, retries);
    let mut pause = WRITE_PAUSE;
    for attempt in 1..=WRITE_ATTEMPTS {
        match verdict.write(store, job).await {
            Ok(Some(end)) => return end,
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
