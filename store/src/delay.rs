//! How long a message waits before it is worked on.

use rand::Rng;
use serde::{Deserialize, Serialize};

/// How long a message waits between being accepted and being worked on, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "lowercase", deny_unknown_fields)]
pub enum Delay {
    /// Every message waits as long.
    Fixed {
        /// Milliseconds.
        ms: u64,
    },
    /// Every message waits a random time, each one within the limits as likely as another.
    Uniform {
        /// The shortest wait in milliseconds.
        min_ms: u64,
        /// The longest wait in milliseconds.
        max_ms: u64,
    },
}

/// Why a [`Delay`] cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DelayError {
    /// It is longer than [`Delay::MAX_MS`].
    #[error("a delay has at most {} ms (30 days), not {ms}", Delay::MAX_MS)]
    TooLong {
        /// The delay in milliseconds.
        ms: u64,
    },
    /// The shortest wait is longer than the longest.
    #[error("the shortest delay ({min_ms} ms) is longer than the longest ({max_ms} ms)")]
    Reversed {
        /// The shortest wait in milliseconds.
        min_ms: u64,
        /// The longest wait in milliseconds.
        max_ms: u64,
    },
}

impl Delay {
    /// The longest delay: 30 days in milliseconds.
    pub const MAX_MS: u64 = 30 * 24 * 60 * 60 * 1000;

    /// The delay until an administrator sets another: one second.
    pub const DEFAULT: Self = Self::Fixed { ms: 1000 };

    /// Says whether the delay can be used.
    ///
    /// # Errors
    ///
    /// A [`DelayError`] if it is too long or its limits are the wrong way round.
    pub fn validate(self) -> Result<(), DelayError> {
        let (min_ms, max_ms) = self.limits();
        if max_ms > Self::MAX_MS {
            return Err(DelayError::TooLong { ms: max_ms });
        }
        if min_ms > max_ms {
            return Err(DelayError::Reversed { min_ms, max_ms });
        }
        Ok(())
    }

    /// The wait of one message in milliseconds.
    pub fn sample(self, rng: &mut impl Rng) -> u64 {
        let (min_ms, max_ms) = self.limits();
        rng.random_range(min_ms..=max_ms.max(min_ms))
    }

    /// The shortest and the longest wait in milliseconds.
    fn limits(self) -> (u64, u64) {
        match self {
            Self::Fixed { ms } => (ms, ms),
            Self::Uniform { min_ms, max_ms } => (min_ms, max_ms),
        }
    }

    /// Its setting.
    pub(crate) fn setting(self) -> String {
        serde_json::to_string(&self)
            .expect("a delay has only text keys and numbers, which JSON can hold")
    }

    /// Reads the delay from its setting; `None` if that is invalid.
    pub(crate) fn from_setting(value: &str) -> Option<Self> {
        let delay: Self = serde_json::from_str(value).ok()?;
        delay.validate().is_ok().then_some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_written_as_clients_write_it() {
        let cases = [
            (Delay::Fixed { ms: 1000 }, r#"{"mode":"fixed","ms":1000}"#),
            (
                Delay::Uniform {
                    min_ms: 5,
                    max_ms: 9,
                },
                r#"{"mode":"uniform","min_ms":5,"max_ms":9}"#,
            ),
        ];
        for (delay, json) in cases {
            assert_eq!(serde_json::to_string(&delay).unwrap(), json);
            assert_eq!(serde_json::from_str::<Delay>(json).unwrap(), delay);
            assert_eq!(Delay::from_setting(json).unwrap(), delay);
        }
    }

    #[test]
    fn a_delay_is_at_most_thirty_days_and_its_limits_are_in_order() {
        let max = Delay::MAX_MS;
        assert_eq!(Delay::Fixed { ms: max }.validate(), Ok(()));
        assert_eq!(
            Delay::Fixed { ms: max + 1 }.validate(),
            Err(DelayError::TooLong { ms: max + 1 })
        );
        let reversed = Delay::Uniform {
            min_ms: 2,
            max_ms: 1,
        };
        assert_eq!(
            reversed.validate(),
            Err(DelayError::Reversed {
                min_ms: 2,
                max_ms: 1
            })
        );
    }

    #[test]
    fn samples_reach_both_limits_and_nothing_beyond() {
        let mut rng = rand::rng();
        let delay = Delay::Uniform {
            min_ms: 3,
            max_ms: 6,
        };
        let mut seen: Vec<_> = (0..1000).map(|_| delay.sample(&mut rng)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [3, 4, 5, 6]);
        assert_eq!(Delay::Fixed { ms: 7 }.sample(&mut rng), 7);
    }

    #[test]
    fn a_setting_that_is_no_delay_is_none() {
        for value in ["", "7", r#"{"mode":"uniform","min_ms":9,"max_ms":5}"#] {
            assert_eq!(Delay::from_setting(value), None);
        }
    }
}
