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

/// What came of an attempt.
pub(crate) enum Attempt {
    /// The processor came to an end.
    Ended(Result<String, Failure>),
    /// The processor, or what surrounds it, panicked.
    Crashed,
    /// The message is no longer this worker's.
    LeaseLost,
}

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

/// Runs the processor, for no longer than it may take, and renews the lease meanwhile. Nothing in it can end the task:
/// whatever panics, be it the log, fails the attempt.
pub(crate) async fn process(
    store: &Store,
    processor: &dyn Processor,
    job: &Job,
    options: &WorkerOptions,
) -> Attempt {
    let attempt = async {
        // Beside each other: an answer that is there in time must not wait for the database.
        tokio::select! {
            result = timeout(options.time_limit, processor.process(job)) => {
                let too_long = |_| Err(Failure::Retry {
                    error: format!("it took longer than {:?}", options.time_limit),
                    after: None,
                });
                Attempt::Ended(result.unwrap_or_else(too_long))
            }
            () = renew_until_lost(store, job, options.lease) => Attempt::LeaseLost,
        }
    };
    let attempt = AssertUnwindSafe(attempt).catch_unwind().await;
    attempt.unwrap_or(Attempt::Crashed)
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
    /// It counts as one that failed.
    Again {
        error: String,
        run_at: Timestamp,
    },
    /// As if it had not been.
    Uncounted {
        error: String,
        run_at: Timestamp,
    },
}

impl Verdict {
    /// `None` is an attempt that crashed.
    fn of(result: Option<Result<String, Failure>>, job: &Job, retries: &Retries) -> Self {
        let failures = u32::try_from(job.failures + 1).unwrap_or(u32::MAX);
        let rng = &mut rand::rng();
        let (error, pause) = match result {
            Some(Ok(result)) => return Self::Over(Outcome::Processed { result }),
            Some(Err(Failure::Outage { error, after })) => {
                let run_at = Timestamp::now() + retries.pause_in_outage(after, rng);
                return Self::Uncounted { error, run_at };
            }
            Some(Err(Failure::Final { error })) => (error, None),
            Some(Err(Failure::Retry { error, after })) => {
                (error, retries.pause(failures, after, rng))
            }
            None => {
                let error = "the processor crashed".to_owned();
                (error, Some(retries.pause_after_crash(failures, rng)))
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
            Self::Uncounted { error, run_at } => {
                let put_back = store.put_back(job, error.clone(), *run_at).await?;
                Ok(put_back.then_some(End::Later(*run_at)))
            }
        }
    }
}

/// Writes what came of an attempt. If that crashes, as a log may, what was written is unclear, and the lease runs out.
pub(crate) async fn conclude(store: &Store, job: &Job, attempt: Attempt, retries: &Retries) -> End {
    let result = match attempt {
        Attempt::Ended(result) => Some(result),
        Attempt::Crashed => None,
        Attempt::LeaseLost => return End::Lost,
    };
    let written = write(store, job, Verdict::of(result, job, retries));
    let written = AssertUnwindSafe(written).catch_unwind().await;
    written.unwrap_or(End::Unclear)
}

async fn write(store: &Store, job: &Job, verdict: Verdict) -> End {
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
