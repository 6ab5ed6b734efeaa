//! How many messages ended, and how long they took: for each second of the last minute, and each minute of the last hour.

use std::{collections::VecDeque, fmt, time::Duration};

use herald_store::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::latencies::{Latencies, Percentiles};

/// Spans of each kind that are remembered.
const SPANS: u64 = 60;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// What ended, second by second and minute by minute.
pub struct Throughput {
    start: Instant,
    ended: Mutex<Ended>,
}

struct Ended {
    seconds: Spans,
    minutes: Spans,
}

/// The last spans of one length in which something ended.
struct Spans {
    length: Duration,
    spans: VecDeque<Span>,
}

struct Span {
    /// Since the start.
    number: u64,
    latencies: Latencies,
}

/// What the last minute was like.
pub(crate) struct LastMinute {
    pub(crate) per_s: f64,
    /// `None` if nothing ended.
    pub(crate) latency: Option<Percentiles>,
}

/// What one minute was like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Minute {
    /// How long ago it began.
    pub(crate) began: Duration,
    pub(crate) ended: u64,
    /// `None` if nothing ended.
    pub(crate) latency: Option<Percentiles>,
}

impl Default for Throughput {
    fn default() -> Self {
        let spans = |length| Spans {
            length,
            spans: VecDeque::new(),
        };
        Self {
            start: Instant::now(),
            ended: Mutex::new(Ended {
                seconds: spans(SECOND),
                minutes: spans(MINUTE),
            }),
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
        let now = self.start.elapsed();
        let mut ended = self.ended.lock();
        ended.seconds.count(now, took);
        ended.minutes.count(now, took);
    }

    pub(crate) fn last_minute(&self) -> LastMinute {
        let over = self.start.elapsed();
        let (all, latency) = {
            let mut ended = self.ended.lock();
            ended.seconds.forget(over);
            Latencies::sum(ended.seconds.spans.iter().map(|span| &span.latencies))
        };
        let seconds = over.clamp(SECOND, MINUTE).as_secs_f64();
        LastMinute {
            per_s: all as f64 / seconds,
            latency,
        }
    }

    /// The minutes of the last hour, as far as the server has run so long; oldest first, that of now last.
    pub(crate) fn last_hour(&self) -> Vec<Minute> {
        let over = self.start.elapsed();
        let mut ended = self.ended.lock();
        let current = ended.minutes.forget(over);
        let oldest = (current + 1).saturating_sub(SPANS);
        let mut spans = ended.minutes.spans.iter().peekable();
        (oldest..=current)
            .map(|number| {
                let span = spans.next_if(|span| span.number == number);
                let (ended, latency) = Latencies::sum(span.iter().map(|span| &span.latencies));
                Minute {
                    began: over.saturating_sub(Duration::from_secs(number * MINUTE.as_secs())),
                    ended,
                    latency,
                }
            })
            .collect()
    }
}

impl Spans {
    fn count(&mut self, now: Duration, took: u64) {
        let number = self.forget(now);
        if self.spans.back().is_none_or(|span| span.number < number) {
            self.spans.push_back(Span {
                number,
                latencies: Latencies::default(),
            });
        }
        if let Some(span) = self.spans.back_mut() {
            span.latencies.count(took);
        }
    }

    /// Forgets what is too old, and returns the number of the current span.
    fn forget(&mut self, now: Duration) -> u64 {
        let current = now.as_secs() / self.length.as_secs();
        while self
            .spans
            .front()
            .is_some_and(|span| span.number + SPANS <= current)
        {
            self.spans.pop_front();
        }
        current
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn ended(throughput: &Throughput, took: i64) {
        let due = Timestamp::from_millis(1_000_000);
        throughput.ended(due, Timestamp::from_millis(1_000_000 + took));
    }

    fn percentiles(p50_ms: u64, p99_ms: u64) -> Option<Percentiles> {
        Some(Percentiles { p50_ms, p99_ms })
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
        assert_eq!(minute.latency, percentiles(3, 3));
        assert!((minute.per_s - 100.0 / 30.0).abs() < 0.01);
        advance(Duration::from_secs(45)).await;
        let minute = throughput.last_minute();
        assert_eq!(minute.latency, percentiles(1023, 1023));
        assert!((minute.per_s - 1.0 / 60.0).abs() < 0.01);
        advance(Duration::from_secs(45)).await;
        assert_eq!(throughput.last_minute().latency, None);
        assert!(throughput.ended.lock().seconds.spans.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_hour_has_a_place_for_each_minute() {
        let throughput = Throughput::default();
        ended(&throughput, 3);
        advance(Duration::from_secs(130)).await;
        ended(&throughput, 5);
        ended(&throughput, 5);
        let minute = |began, ended, latency| Minute {
            began: Duration::from_secs(began),
            ended,
            latency,
        };
        let hour = throughput.last_hour();
        let expected = [
            minute(130, 1, percentiles(3, 3)),
            minute(70, 0, None),
            minute(10, 2, percentiles(5, 5)),
        ];
        assert_eq!(hour, expected);

        advance(Duration::from_secs(60 * 60)).await;
        let hour = throughput.last_hour();
        assert_eq!(hour.len(), 60);
        assert_eq!(hour[59], minute(10, 0, None));
        assert!(hour.iter().all(|minute| minute.ended == 0));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_an_hour_is_kept() {
        let throughput = Throughput::default();
        for _ in 0..100 {
            ended(&throughput, 1);
            advance(MINUTE).await;
        }
        assert_eq!(throughput.ended.lock().minutes.spans.len(), 60);
        let counted: u64 = throughput.last_hour().iter().map(|m| m.ended).sum();
        assert_eq!(counted, 59);
    }
}
