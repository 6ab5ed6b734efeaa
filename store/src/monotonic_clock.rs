//! A clock that follows the system's forwards, or the one of a database server, and never goes back.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// How far the system's clock may be set back without a word, in microseconds.
const STEP: i64 = 1_000_000;

/// The clock of this process.
static CLOCK: LazyLock<MonotonicClock> = LazyLock::new(MonotonicClock::default);

/// Milliseconds since 1970-01-01T00:00:00Z: by the system's clock, or more if that was set back since this process first
/// asked.
pub(crate) fn now_millis() -> i64 {
    let clock = &*CLOCK;
    // In this order: whatever happens in between makes the time passed longer, and the offset no larger than it is.
    let wall = jiff::Timestamp::now().as_microsecond();
    clock.read(wall, clock.start.elapsed()).div_euclid(1000)
}

/// The clock of a database server shows `millis`: from now on it is the one that is followed, so that all who use the database
/// agree on the time. It counts alone if nobody has asked for the time before.
pub(crate) fn follow_database(millis: i64) {
    let clock = &*CLOCK;
    let wall = jiff::Timestamp::now().as_microsecond();
    clock.follow(millis.saturating_mul(1000), wall, clock.start.elapsed());
}

/// The time that passes in this process, and the most that the clock which is followed was ever ahead of it.
struct MonotonicClock {
    start: Instant,
    /// In microseconds.
    offset: AtomicI64,
    /// It is the clock of a database that is followed, and not the system's.
    follows_database: AtomicBool,
    /// It is in the log that the system's clock is behind, or that it is not the database's.
    warned: AtomicBool,
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            offset: AtomicI64::new(i64::MIN),
            follows_database: AtomicBool::new(false),
            warned: AtomicBool::new(false),
        }
    }
}

impl MonotonicClock {
    /// The time in microseconds, when the system's clock shows `wall`, `passed` after the start.
    fn read(&self, wall: i64, passed: Duration) -> i64 {
        let passed = micros(passed);
        if self.follows_database.load(Ordering::Acquire) {
            return passed.saturating_add(self.offset.load(Ordering::Relaxed));
        }
        let offset = wall.saturating_sub(passed);
        let mut highest = self.offset.load(Ordering::Relaxed);
        if offset > highest {
            highest = self.offset.fetch_max(offset, Ordering::Relaxed).max(offset);
        }
        let behind = highest.saturating_sub(offset);
        if (behind > STEP) != self.warned.load(Ordering::Relaxed) {
            self.warn(behind);
        }
        passed.saturating_add(highest)
    }

    /// The clock of the database shows `time`, and that of the system `wall`, `passed` after the start; the former a little
    /// earlier, so that it is never ahead of it.
    fn follow(&self, time: i64, wall: i64, passed: Duration) {
        let offset = time.saturating_sub(micros(passed));
        self.offset.fetch_max(offset, Ordering::Relaxed);
        let is_first = !self.follows_database.swap(true, Ordering::Release);
        let ahead = wall.saturating_sub(time);
        if is_first && ahead.abs() > STEP {
            tracing::warn!(
                seconds_ahead = ahead / 1_000_000,
                "the system's clock is not the database's, by which Herald goes"
            );
        }
    }

    /// Logs that the system's clock was set back, once, until it has caught up.
    fn warn(&self, behind: i64) {
        let is_behind = behind > STEP;
        if self.warned.swap(is_behind, Ordering::Relaxed) != is_behind && is_behind {
            tracing::warn!(
                seconds = behind / 1_000_000,
                "the system's clock was set back; this process goes on by its own until that has caught up, or until it \
                 is started again"
            );
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const HOUR: i64 = 3600 * SECOND;

    fn after(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_systems_clock_is_followed_forwards() {
        let clock = MonotonicClock::default();
        assert_eq!(clock.read(HOUR, after(0)), HOUR);
        assert_eq!(clock.read(HOUR + 5 * SECOND, after(5)), HOUR + 5 * SECOND);
        assert_eq!(clock.read(3 * HOUR, after(6)), 3 * HOUR);
    }

    #[test]
    fn time_goes_on_when_the_systems_clock_is_set_back() {
        let clock = MonotonicClock::default();
        assert_eq!(clock.read(2 * HOUR, after(0)), 2 * HOUR);
        assert!(!clock.warned.load(Ordering::Relaxed));
        assert_eq!(clock.read(HOUR, after(1)), 2 * HOUR + SECOND);
        assert!(clock.warned.load(Ordering::Relaxed));
        assert_eq!(clock.read(HOUR + SECOND, after(2)), 2 * HOUR + 2 * SECOND);
        // And is the system's again once that has caught up.
        assert_eq!(clock.read(3 * HOUR, after(3)), 3 * HOUR);
        assert!(!clock.warned.load(Ordering::Relaxed));
    }

    #[test]
    fn a_small_step_back_is_not_worth_a_word() {
        let clock = MonotonicClock::default();
        clock.read(HOUR, after(0));
        assert_eq!(clock.read(HOUR - SECOND / 2, after(0)), HOUR);
        assert!(!clock.warned.load(Ordering::Relaxed));
    }

    #[test]
    fn whatever_their_systems_clocks_show_those_who_use_a_database_agree() {
        let (ahead, behind) = (MonotonicClock::default(), MonotonicClock::default());
        for (seconds, database) in [(0, 5 * HOUR), (1, 5 * HOUR + SECOND), (7, 6 * HOUR)] {
            ahead.follow(database, 9 * HOUR, after(seconds));
            behind.follow(database, HOUR, after(seconds));
            assert_eq!(ahead.read(9 * HOUR, after(seconds)), database);
            assert_eq!(behind.read(HOUR, after(seconds)), database);
        }
        // Between two looks at it, and whatever the system's clock does.
        assert_eq!(ahead.read(HOUR, after(9)), 6 * HOUR + 2 * SECOND);
        assert_eq!(behind.read(20 * HOUR, after(9)), 6 * HOUR + 2 * SECOND);
    }

    #[test]
    fn a_database_whose_clock_is_behind_does_not_set_the_time_back() {
        let clock = MonotonicClock::default();
        assert_eq!(clock.read(3 * HOUR, after(0)), 3 * HOUR);
        clock.follow(HOUR, 3 * HOUR, after(1));
        assert_eq!(clock.read(3 * HOUR, after(2)), 3 * HOUR + 2 * SECOND);
        clock.follow(4 * HOUR, 3 * HOUR, after(3));
        clock.follow(2 * HOUR, 3 * HOUR, after(4));
        assert_eq!(clock.read(0, after(4)), 4 * HOUR + SECOND);
    }

    #[test]
    fn the_time_never_goes_back() {
        let clock = MonotonicClock::default();
        let walls = [5, 3, 9, 1, 9, 30, 2].map(|hours| hours * HOUR);
        let times: Vec<i64> = (0..)
            .zip(walls)
            .map(|(seconds, wall)| clock.read(wall, after(seconds)))
            .collect();
        assert!(times.is_sorted(), "{times:?}");
    }
}
