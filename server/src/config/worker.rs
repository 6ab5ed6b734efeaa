//! The section `[worker]`.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Messages that are echoed at once, unless the configuration says how many: an echo takes no time, and what counts is how many
/// ends share a transaction, and that a transaction of sends finds room for all of them: then they are processed while others are
/// sent, and not only afterwards.
pub(super) const ECHOES: u32 = 512;

/// How long a stop may wait for messages that are being processed, in milliseconds.
const STOP_MS: RangeInclusive<u64> = 0..=600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Processor {
    Echo,
    Webhook,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Worker {
    pub(crate) concurrency: u32,
    pub(crate) lease_ms: u64,
    pub(crate) timeout_ms: u64,
    pub(crate) max_attempts: u32,
    pub(crate) backoff_ms: u64,
    pub(crate) stop_ms: u64,
    pub(crate) processor: Processor,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            concurrency: 16,
            lease_ms: 30_000,
            timeout_ms: 60_000,
            max_attempts: 12,
            backoff_ms: 1_000,
            stop_ms: 7_000,
            processor: Processor::Echo,
        }
    }
}

impl Worker {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let error = |text: &str| Err(ConfigError(format!("worker.{text}")));
        if self.concurrency == 0 {
            return error("concurrency: at least 1, or nothing is ever processed");
        }
        if self.lease_ms < 1000 {
            return error("lease_ms: at least 1000");
        }
        if !STOP_MS.contains(&self.stop_ms) {
            let (least, most) = (STOP_MS.start(), STOP_MS.end());
            return error(&format!("stop_ms: between {least} and {most}"));
        }
        if self.timeout_ms == 0 {
            return error("timeout_ms: at least 1");
        }
        if self.max_attempts == 0 {
            return error("max_attempts: at least 1, or nothing is ever processed");
        }
        Ok(())
    }

    /// How long a claim holds.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Worker)) -> String {
        let mut worker = Worker::default();
        change(&mut worker);
        worker.check().unwrap_err().to_string()
    }

    #[test]
    fn a_number_that_makes_no_sense_is_named() {
        assert!(refused(|w| w.concurrency = 0).starts_with("worker.concurrency: "));
        assert!(refused(|w| w.timeout_ms = 0).starts_with("worker.timeout_ms: "));
        assert!(refused(|w| w.max_attempts = 0).starts_with("worker.max_attempts: "));
    }
}
