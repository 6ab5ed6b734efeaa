//! When it is looked for all that frames would have said.

use std::time::{Duration, Instant};

/// How often it is looked for what nobody told, and how soon after something was missed or failed, at most.
const EVERY: Duration = Duration::from_secs(30);
const AT_MOST: Duration = Duration::from_secs(1);

/// When whoever reads frames looks in the database for all that may be missing. It knows no clock.
#[derive(Debug)]
pub struct Looks {
    /// When the last one began, and when the next is due.
    last: Instant,
    next: Instant,
    /// Something was missed since the last one.
    is_owed: bool,
    /// Nobody else has written anything before the last one.
    was_alone: bool,
}

impl Looks {
    /// Of one that begins now, without others.
    #[must_use]
    pub fn since(now: Instant) -> Self {
        Self {
            last: now,
            next: now + EVERY,
            is_owed: false,
            was_alone: true,
        }
    }

    /// When the next one is due.
    #[must_use]
    pub fn next(&self) -> Instant {
        self.next
    }

    /// One is due: says whether there is anything to look for.
    pub fn begin(&mut self, now: Instant, is_alone: bool) -> bool {
        self.last = now;
        self.next = now + EVERY;
        let is_needed = self.is_owed || !is_alone || !self.was_alone;
        (self.is_owed, self.was_alone) = (false, is_alone);
        is_needed
    }

    /// Something may be missing, or a look has failed: the next one is due soon.
    pub fn miss(&mut self, now: Instant) {
        self.is_owed = true;
        self.next = self.next.min(self.last + AT_MOST).max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_alone_looks_for_nothing_unless_something_was_missed() {
        let start = Instant::now();
        let mut looks = Looks::since(start);
        assert_eq!(looks.next(), start + EVERY);
        assert!(!looks.begin(start + EVERY, true));
        assert!(looks.begin(start + 2 * EVERY, false));
        // What others have written before they were gone.
        assert!(looks.begin(start + 3 * EVERY, true));
        assert!(!looks.begin(start + 4 * EVERY, true));
        looks.miss(start + 4 * EVERY);
        assert!(looks.begin(looks.next(), true));
    }

    #[test]
    fn however_often_something_is_missed_it_is_looked_for_once_a_second() {
        let start = Instant::now();
        let mut looks = Looks::since(start);
        let (mut begun, mut now) = (vec![], start);
        while now < start + Duration::from_secs(10) {
            looks.miss(now);
            if looks.next() <= now {
                assert!(looks.begin(now, false));
                begun.push(now - start);
            }
            now += Duration::from_millis(10);
        }
        let expected = (1..10).map(Duration::from_secs);
        assert_eq!(begun, expected.collect::<Vec<_>>());
    }
}
