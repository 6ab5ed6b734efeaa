//! How failed attempts are repeated.

use std::time::Duration;

use rand::Rng;

/// How much longer each pause is than the one before it.
const GROWTH: u32 = 4;

/// The longest pause between two attempts that Herald chooses, before it is spread; a service that asks for a longer one
/// gets it. With this growth, twelve attempts of which the first two are a second apart take 24 hours.
const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);

/// By how much of itself a pause is longer or shorter than planned, so that messages that failed together do not come back
/// together.
const JITTER: f64 = 0.2;

/// The shortest and the longest pause after an attempt that failed because there was nobody to ask. That nothing is sent
/// meanwhile is for the processor to see to (`Processor::ready`).
const OUTAGE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// The shortest pause after an attempt that crashed. Unlike any other, these are repeated without end.
const CRASH: Duration = Duration::from_secs(1);

/// How failed attempts are repeated: after a pause that is four times as long as the one before, up to six hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// After so many failed attempts, a message is dead. At least one.
    pub max_attempts: u32,
    /// The pause after the first failure.
    pub backoff: Duration,
}

impl Retries {
    /// How long to wait after `failures` failed attempts, of which the last asked to wait `at_least`; `None` if there is
    /// to be no other attempt.
    pub(crate) fn pause(
        &self,
        failures: u32,
        at_least: Option<Duration>,
        rng: &mut impl Rng,
    ) -> Option<Duration> {
        (failures < self.max_attempts)
            .then(|| spread(self.planned(failures), rng).max(at_least.unwrap_or_default()))
    }

    /// How long to wait after `failures` failed attempts, of which the last crashed.
    pub(crate) fn pause_after_crash(&self, failures: u32, rng: &mut impl Rng) -> Duration {
        spread(self.planned(failures).max(CRASH), rng)
    }

    /// How long to wait after an attempt that is not counted, and asked to wait `at_least`.
    pub(crate) fn pause_in_outage(
        &self,
        at_least: Option<Duration>,
        rng: &mut impl Rng,
    ) -> Duration {
        let (shortest, longest) = OUTAGE;
        spread(self.backoff.clamp(shortest, longest), rng).max(at_least.unwrap_or_default())
    }

    fn planned(&self, failures: u32) -> Duration {
        let grown = GROWTH.saturating_pow(failures.saturating_sub(1));
        self.backoff.saturating_mul(grown).min(LONGEST)
    }
}

fn spread(pause: Duration, rng: &mut impl Rng) -> Duration {
    pause.mul_f64(rng.random_range(1.0 - JITTER..=1.0 + JITTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRIES: Retries = Retries {
        max_attempts: 12,
        backoff: Duration::from_secs(1),
    };

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn many(failures: u32) -> Vec<Duration> {
        let mut rng = rand::rng();
        let pauses = (0..2000).map(|_| RETRIES.pause(failures, None, &mut rng).unwrap());
        pauses.collect()
    }

    #[test]
    fn the_pause_grows_fourfold_up_to_six_hours_and_is_spread_by_a_fifth() {
        for (failures, seconds) in [
            (1, 1),
            (2, 4),
            (3, 16),
            (7, 4096),
            (9, 21_600),
            (11, 21_600),
        ] {
            let planned = Duration::from_secs(seconds);
            let pauses = many(failures);
            let (shortest, longest) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
            assert!(*shortest >= planned.mul_f64(0.799), "{shortest:?}");
            assert!(*longest <= planned.mul_f64(1.201), "{longest:?}");
            assert!(*longest - *shortest > planned.mul_f64(0.3), "{failures}");
        }
    }

    #[test]
    fn twelve_attempts_span_about_a_day() {
        let planned: Duration = (1..12).map(|failures| RETRIES.planned(failures)).sum();
        assert!(planned > 24 * HOUR && planned < 25 * HOUR, "{planned:?}");
        let mut rng = rand::rng();
        let all = (1..).map_while(|failures| RETRIES.pause(failures, None, &mut rng));
        let all: Vec<_> = all.collect();
        assert_eq!(all.len(), 11);
        let span: Duration = all.iter().sum();
        assert!(span > 19 * HOUR && span < 29 * HOUR, "{span:?}");
    }

    #[test]
    fn a_service_that_asks_for_time_gets_it() {
        let mut rng = rand::rng();
        let day = Some(24 * HOUR);
        assert_eq!(RETRIES.pause(1, day, &mut rng), day);
        assert_eq!(Some(RETRIES.pause_in_outage(day, &mut rng)), day);
    }

    #[test]
    fn after_the_last_attempt_there_is_none_but_after_a_crash() {
        let mut rng = rand::rng();
        assert!(RETRIES.pause(11, None, &mut rng).is_some());
        assert_eq!(RETRIES.pause(12, None, &mut rng), None);
        assert!(RETRIES.pause_after_crash(12, &mut rng) > 4 * HOUR);
    }

    #[test]
    fn no_pause_is_so_short_that_it_becomes_a_busy_loop() {
        let mut rng = rand::rng();
        let none = Retries {
            backoff: Duration::ZERO,
            ..RETRIES
        };
        assert!(none.pause_after_crash(1, &mut rng) >= CRASH.mul_f64(0.799));
        assert!(none.pause_in_outage(None, &mut rng) >= Duration::from_millis(79));
    }
}
