//! How often which latency was seen: counters that are finer where latencies are shorter.

/// Latencies of each power of two are counted in so many steps.
const STEPS: u64 = 16;

/// Longer ones count as this long: 2^32 ms are 50 days.
const LONGEST: u64 = u32::MAX as u64;

/// One for each latency up to [`STEPS`] ms, and [`STEPS`] for each further power of two.
const COUNTERS: usize = 29 * STEPS as usize;

/// Counters of one span of time.
pub(super) struct Latencies(Box<[u32; COUNTERS]>);

/// In milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Percentiles {
    pub(crate) p50_ms: u64,
    pub(crate) p99_ms: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self(Box::new([0; COUNTERS]))
    }
}

impl Latencies {
    /// Counts one.
    pub(super) fn count(&mut self, ms: u64) {
        let counter = &mut self.0[index(ms)];
        *counter = counter.saturating_add(1);
    }

    /// Of all these together: how many there are, and their percentiles unless there are none.
    pub(super) fn sum<'a>(all: impl Iterator<Item = &'a Self>) -> (u64, Option<Percentiles>) {
        let mut sums = vec![0; COUNTERS];
        for latencies in all {
            for (sum, count) in sums.iter_mut().zip(&*latencies.0) {
                *sum += u64::from(*count);
            }
        }
        let all: u64 = sums.iter().sum();
        let percentiles = (all > 0).then(|| Percentiles {
            p50_ms: percentile(&sums, all.div_ceil(2)),
            p99_ms: percentile(&sums, (all * 99).div_ceil(100)),
        });
        (all, percentiles)
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
    use super::*;

    #[test]
    fn every_latency_has_a_counter_that_is_near() {
        for ms in (0..5000).chain([100_000, 86_400_000, LONGEST, u64::MAX]) {
            let shown = highest(index(ms));
            let ms = ms.min(LONGEST);
            assert!(shown >= ms && shown - ms <= ms / STEPS, "{ms}: {shown}");
        }
        assert_eq!(index(u64::MAX), COUNTERS - 1);
    }
}
