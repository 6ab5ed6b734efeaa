//! How failed attempts are repeated.

use std::time::Duration;

use rand::Rng;

/// The longest pause between two attempts that Herald chooses; a service that asks for a longer one gets it.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// How failed attempts are repeated: after a random pause, the upper limit of which doubles with each failure ("full
/// jitter"), so that messages that failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// After so many failed attempts, a message is dead. At least one.
    pub max_attempts: u32,
    /// The longest pause after the first failure.
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
        if failures >= self.max_attempts {
            return None;
        }
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let limit = self.backoff.saturating_mul(doubled).min(LONGEST);
        let pause = rng.random_range(Duration::ZERO..=limit);
        Some(pause.max(at_least.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRIES: Retries = Retries {
        max_attempts: 40,
        backoff: Duration::from_secs(1),
    };

    fn longest_of_many(failures: u32) -> Duration {
        let mut rng = rand::rng();
        let pauses = (0..2000).map(|_| RETRIES.pause(failures, None, &mut rng).unwrap());
        pauses.max().unwrap()
    }

    #[test]
    fn the_limit_of_the_pause_doubles_up_to_an_hour() {
        for (failures, limit) in [
            (1, 1),
            (2, 2),
            (3, 4),
            (5, 16),
            (12, 2048),
            (13, 3600),
            (39, 3600),
        ] {
            let longest = longest_of_many(failures);
            let limit = Duration::from_secs(limit);
            assert!(
                longest <= limit && longest > limit / 2,
                "{failures}: {longest:?}"
            );
        }
    }

    #[test]
    fn pauses_are_spread_from_none_at_all() {
        let mut rng = rand::rng();
        let pauses = (0..2000).map(|_| RETRIES.pause(4, None, &mut rng).unwrap());
        assert!(pauses.min().unwrap() < Duration::from_secs(1));
    }

    #[test]
    fn a_service_that_asks_for_time_gets_it() {
        let mut rng = rand::rng();
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(RETRIES.pause(1, Some(day), &mut rng), Some(day));
    }

    #[test]
    fn after_the_last_attempt_there_is_none() {
        let mut rng = rand::rng();
        assert!(RETRIES.pause(39, None, &mut rng).is_some());
        assert_eq!(RETRIES.pause(40, None, &mut rng), None);
    }
}
