//! How many messages ended within the last minute, and how long they took: counters for each second.

use std::{collections::VecDeque, fmt, time::Duration};

use herald_store::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Seconds that are remembered.
const SECONDS: u64 = 60;

/// Latencies of each power of two are told apart in so many steps.
const STEPS: u64 = 16;

/// Longer ones count as this long: 2^32 ms are 50 days.
const LONGEST: u64 = u32::MAX as u64;

/// Counters of one second: one for each latency up to [`STEPS`] ms, and [`STEPS`] for each further power of two.
const COUNTERS: usize = 29 * STEPS as usize;

/// What ended, second by second.
pub struct Throughput {
    start: Instant,
    seconds: Mutex<VecDeque<Second>>,
}

struct Second {
    /// Since the start.
    number: u64,
    counters: Box<[u32; COUNTERS]>,
}

/// What the last minute was like.
pub(super) struct LastMinute {
    pub(super) per_s: f64,
    /// `None` if nothing ended.
    pub(super) latency: Option<Percentiles>,
}

/// In milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Percentiles {
    pub(super) p50_ms: u64,
    pub(super) p99_ms: u64,
}

impl Default for Throughput {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            seconds: Mutex::default(),
        }
    }
}

impl fmt::Debug for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throughput").finish_non_exhaustive()
    }
}

impl Throughput {
    /// Counts a message that was `due` and ended at `at`.
    pub fn ended(&self, due: Timestamp, at: Timestamp) {
        let took = at.as_millis().saturating_sub(due.as_millis());
        let took = u64::try_from(took).unwrap_or(0);
        let mut seconds = self.seconds.lock();
        let now = self.forget(&mut seconds);
        if seconds.back().is_none_or(|second| second.number < now) {
            seconds.push_back(Second {
                number: now,
                counters: Box::new([0; COUNTERS]),
            });
        }
        if let Some(second) = seconds.back_mut() {
            let counter = &mut second.counters[index(took)];
            *counter = counter.saturating_add(1);
        }
    }

    /// Forgets what is too old, and answers which second it is.
    fn forget(&self, seconds: &mut VecDeque<Second>) -> u64 {
        let now = self.start.elapsed().as_secs();
        while seconds.front().is_some_and(|s| s.number + SECONDS <= now) {
            seconds.pop_front();
        }
        now
    }

    pub(super) fn last_minute(&self) -> LastMinute {
        let mut sums = vec![0; COUNTERS];
        {
            let mut seconds = self.seconds.lock();
            self.forget(&mut seconds);
            for second in &*seconds {
                for (sum, count) in sums.iter_mut().zip(&*second.counters) {
                    *sum += u64::from(*count);
                }
            }
        }
        let all: u64 = sums.iter().sum();
        let over = self.start.elapsed();
        let over = over.clamp(Duration::from_secs(1), Duration::from_secs(SECONDS));
        LastMinute {
            per_s: all as f64 / over.as_secs_f64(),
            latency: (all > 0).then(|| Percentiles {
                p50_ms: percentile(&sums, all.div_ceil(2)),
                p99_ms: percentile(&sums, (all * 99).div_ceil(100)),
            }),
        }
    }
}

/// The latency that `rank` of them do not exceed.
fn percentile(sums: &[u64], rank: u64) -> u64 {
    let mut seen = 0;
    let found = sums.iter().position(|count| {
        seen += count;
        seen >= rank
    });
    highest(found.unwrap_or(COUNTERS - 1))
}

/// The counter of a latency.
fn index(ms: u64) -> usize {
    let ms = ms.min(LONGEST);
    if ms < STEPS {
        return ms as usize;
    }
    let power = ms.ilog2() - STEPS.ilog2();
    let step = (ms >> power) - STEPS;
    (u64::from(power + 1) * STEPS + step) as usize
}

/// The highest latency that a counter counts.
fn highest(index: usize) -> u64 {
    let index = index as u64;
    if index < STEPS {
        return index;
    }
    let power = index / STEPS - 1;
    let step = index % STEPS + STEPS;
    ((step + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn ended(throughput: &Throughput, took: i64) {
        let due = Timestamp::from_millis(1_000_000);
        throughput.ended(due, Timestamp::from_millis(1_000_000 + took));
    }

    #[test]
    fn every_latency_has_a_counter_that_is_near() {
        for ms in (0..5000).chain([100_000, 86_400_000, LONGEST, u64::MAX]) {
            let shown = highest(index(ms));
            let ms = ms.min(LONGEST);
            assert!(shown >= ms && shown - ms <= ms / STEPS, "{ms}: {shown}");
        }
        assert_eq!(index(u64::MAX), COUNTERS - 1);
    }

    #[tokio::test(start_paused = true)]
    async fn percentiles_are_of_the_last_minute_alone() {
        let throughput = Throughput::default();
        assert_eq!(throughput.last_minute().latency, None);
        for _ in 0..98 {
            ended(&throughput, 3);
        }
        // A clock that was set back is no latency.
        ended(&throughput, -5);
        advance(Duration::from_secs(30)).await;
        ended(&throughput, 1000);
        let minute = throughput.last_minute();
        let percentiles = |p50_ms, p99_ms| Some(Percentiles { p50_ms, p99_ms });
        assert_eq!(minute.latency, percentiles(3, 3));
        assert!((minute.per_s - 100.0 / 30.0).abs() < 0.01);
        advance(Duration::from_secs(45)).await;
        let minute = throughput.last_minute();
        assert_eq!(minute.latency, percentiles(1023, 1023));
        assert!((minute.per_s - 1.0 / 60.0).abs() < 0.01);
        advance(Duration::from_secs(45)).await;
        assert_eq!(throughput.last_minute().latency, None);
        assert!(throughput.seconds.lock().is_empty());
    }
}
