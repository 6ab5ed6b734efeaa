//! Points in time.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Serialize, Serializer};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, between the years -9999 and 9999.
///
/// Shown and serialised as RFC 3339 in UTC with milliseconds: `2026-11-22T10:00:00.000Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time of the system's clock; once a database on a server was opened, that of the server's. It never goes back while
    /// this process runs: if that clock is set back, the time goes on from where it was until the clock has caught up.
    #[must_use]
    pub fn now() -> Self {
        Self::from_millis(crate::monotonic_clock::now_millis())
    }

    /// The time `millis` milliseconds after 1970-01-01T00:00:00Z, or the nearest that can be shown.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(
            jiff::Timestamp::MIN.as_millisecond(),
            jiff::Timestamp::MAX.as_millisecond(),
        ))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// The time `duration` later, in whole milliseconds, or the latest that can be shown.
    fn add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Unlike from_millisecond, this takes the last millisecond that jiff knows.
        let time = jiff::Timestamp::from_duration(SignedDuration::from_millis(self.0))
            .expect("every Timestamp is made within jiff's limits");
        write!(f, "{time:.3}")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// It is not a time in the format of RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no time such as 2026-11-22T10:00:00Z")]
pub struct NoTime;

impl FromStr for Timestamp {
    type Err = NoTime;

    /// Takes RFC 3339, of any offset; parts of a millisecond are cut off.
    fn from_str(text: &str) -> Result<Self, NoTime> {
        let time: jiff::Timestamp = text.parse().map_err(|_| NoTime)?;
        Ok(Self::from_millis(time.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_utc_with_milliseconds() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_341_600_000, "2026-11-22T10:00:00.000Z"),
            (1_795_341_601_003, "2026-11-22T10:00:01.003Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ];
        for (millis, text) in cases {
            let time = Timestamp::from_millis(millis);
            assert_eq!(time.to_string(), text);
            assert_eq!(serde_json::to_string(&time).unwrap(), format!("\"{text}\""));
        }
    }

    #[test]
    fn a_time_is_read_back_and_of_any_offset() {
        for text in [
            "2026-11-22T10:00:00Z",
            "2026-11-22T10:00:00.000999Z",
            "2026-11-22T12:30:00+02:30",
        ] {
            let time = Timestamp::from_millis(1_795_341_600_000);
            assert_eq!(text.parse(), Ok(time), "{text}");
        }
        for text in ["", "now", "2026-11-22", "2026-11-22T10:00:00", "12"] {
            assert_eq!(text.parse::<Timestamp>(), Err(NoTime), "{text}");
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_is_the_last_one() {
        assert_eq!(
            Timestamp::from_millis(i64::MAX).to_string(),
            "9999-12-30T22:00:00.999Z"
        );
        let late = Timestamp::now() + Duration::MAX;
        assert_eq!(late, Timestamp::from_millis(i64::MAX));
    }

    #[test]
    fn a_duration_is_added_in_milliseconds() {
        let time = Timestamp::from_millis(1_000) + Duration::from_millis(250);
        assert_eq!(time.as_millis(), 1_250);
    }
}
