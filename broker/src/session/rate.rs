//! How fast one client may publish: a token bucket.

use std::time::Duration;

use tokio::time::Instant;

/// Holds the PUBLISHes of one second.
#[derive(Debug)]
pub(super) struct Rate {
    per_s: u32,
    tokens: f64,
    filled: Instant,
}

impl Rate {
    /// A full bucket; 0 for any rate.
    pub(super) fn new(per_s: u32) -> Self {
        Self {
            per_s,
            tokens: f64::from(per_s),
            filled: Instant::now(),
        }
    }

    /// Takes one PUBLISH out; `false` if there is none.
    pub(super) fn take(&mut self) -> bool {
        if self.per_s == 0 {
            return true;
        }
        self.fill();
        let any = self.tokens >= 1.0;
        if any {
            self.tokens -= 1.0;
        }
        any
    }

    /// When the next PUBLISH may come, if not now.
    pub(super) fn wait(&mut self) -> Option<Instant> {
        if self.per_s == 0 {
            return None;
        }
        self.fill();
        let missing = 1.0 - self.tokens;
        (missing > 0.0)
            .then(|| self.filled + Duration::from_secs_f64(missing / f64::from(self.per_s)))
    }

    fn fill(&mut self) {
        let per_s = f64::from(self.per_s);
        let now = Instant::now();
        let fresh = now.duration_since(self.filled).as_secs_f64() * per_s;
        self.tokens = (self.tokens + fresh).min(per_s);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_gives_as_many_as_the_rate_and_no_more() {
        let mut rate = Rate::new(5);
        assert_eq!((0..9).filter(|_| rate.take()).count(), 5);
        let next = rate.wait().unwrap();
        tokio::time::sleep_until(next + Duration::from_millis(1)).await;
        assert!(rate.wait().is_none());
        assert_eq!((0..9).filter(|_| rate.take()).count(), 1);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!((0..9).filter(|_| rate.take()).count(), 5);
    }

    #[tokio::test]
    async fn no_rate_is_no_limit() {
        let mut rate = Rate::new(0);
        assert!((0..100_000).all(|_| rate.take()));
        assert!(rate.wait().is_none());
    }
}
