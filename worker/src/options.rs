//! How the worker works.

use std::time::Duration;

use crate::Retries;

/// How the worker works.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Messages processed at once.
    pub concurrency: u32,
    /// How long a claim holds without renewal.
    pub lease: Duration,
    /// How long the processor may take for one attempt.
    pub time_limit: Duration,
    /// How failed attempts are repeated.
    pub retries: Retries,
    /// How long messages under way may take to end once the worker is stopped.
    pub grace: Duration,
}
