//! The breaker: keeps from a dead endpoint what would only fail there.
//!
//! ```text
//!            5 failures in a row                the pause is over
//!   closed ───────────────────────▶ open ───────────────────────────▶ half open
//!     ▲                              ▲                                 │     │
//!     │                              └── it fails: the pause doubles ──┘     │
//!     └──────────────────────────── an exchange succeeds ────────────────────┘
//! ```
//!
//! Closed, as many messages as configured are under way. Open, none is begun: the pause is 1 s at first, 60 s at most. Half
//! open, one may be under way, the probe. An exchange that began before the breaker opened can close it, but not open it
//! again: what fails late says nothing new.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Failures in a row that open it.
const FAILURES: u32 = 5;

/// The first pause.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Closed: as many as configured.
    All,
    /// Half open: one, the probe.
    Probe,
}

/// How the endpoint is, after an exchange with it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// Closed: as far as is known, it is the exchange that failed.
    Alive,
    /// Open or half open: the exchange says nothing of its message.
    Dead,
}

#[derive(Debug)]
enum BreakerState {
    Closed {
        failures: u32,
    },
    /// Half open once `until` has passed.
    Open {
        until: Instant,
        pause: Duration,
    },
}

#[derive(Debug)]
struct Inner {
    state: BreakerState,
    /// How often it has opened.
    openings: u64,
}

/// The breaker of one endpoint.
#[derive(Debug)]
pub(super) struct Breaker {
    /// The endpoint's name in the log.
    name: String,
    inner: Mutex<Inner>,
    closed: Notify,
}

impl Breaker {
    /// A closed breaker, called `name` in the log.
    pub(super) fn new(name: String) -> Self {
        let state = BreakerState::Closed { failures: 0 };
        Self {
            name,
            inner: Mutex::new(Inner { state, openings: 0 }),
            closed: Notify::new(),
        }
    }

    /// Waits while it is open; then what is let through.
    pub(super) async fn admission(&self) -> Admission {
        loop {
            // Made before the look, so that no closing is missed in between.
            let closed = self.closed.notified();
            let until = match self.inner.lock().state {
                BreakerState::Closed { .. } => return Admission::All,
                BreakerState::Open { until, .. } => until,
            };
            if until <= Instant::now() {
                return Admission::Probe;
            }
            tokio::select! {
                () = sleep_until(until) => {}
                () = closed => {}
            }
        }
    }

    /// An exchange begins.
    pub(super) fn begin(&self) -> Exchange<'_> {
        Exchange {
            breaker: self,
            openings: self.inner.lock().openings,
            settled: false,
        }
    }

    fn health(&self) -> Health {
        match self.inner.lock().state {
            BreakerState::Closed { .. } => Health::Alive,
            BreakerState::Open { .. } => Health::Dead,
        }
    }

    fn succeeded(&self) {
        let was = {
            let closed = BreakerState::Closed { failures: 0 };
            std::mem::replace(&mut self.inner.lock().state, closed)
        };
        if let BreakerState::Open { .. } = was {
            tracing::info!(endpoint = %self.name, "the webhook answers again");
            self.closed.notify_waiters();
        }
    }

    fn failed(&self, openings: u64) {
        let mut inner = self.inner.lock();
        if openings != inner.openings {
            return;
        }
        let pause = match &mut inner.state {
            BreakerState::Closed { failures } => {
                *failures += 1;
                if *failures < FAILURES {
                    return;
                }
                FIRST_PAUSE
            }
            BreakerState::Open { pause, .. } => (*pause * 2).min(LONGEST_PAUSE),
        };
        let until = Instant::now() + pause;
        inner.state = BreakerState::Open { until, pause };
        inner.openings += 1;
        tracing::warn!(endpoint = %self.name, ?pause, "the webhook keeps failing; nothing is sent to it for a while");
    }
}

/// An exchange under way. Dropped before its end, it counts as a failure: whoever waited for the answer gave up.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    breaker: &'a Breaker,
    openings: u64,
    settled: bool,
}

impl Exchange<'_> {
    /// The endpoint answered, and not that it is out of order.
    pub(super) fn succeeded(mut self) {
        self.settled = true;
        self.breaker.succeeded();
    }

    /// It did not answer, or with 5xx. Returns how the endpoint is, this failure counted.
    pub(super) fn failed(mut self) -> Health {
        self.settled = true;
        self.breaker.failed(self.openings);
        self.breaker.health()
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.breaker.failed(self.openings);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::advance;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn breaker() -> Breaker {
        Breaker::new("test".into())
    }

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.begin().failed();
        }
    }

    fn now(breaker: &Breaker) -> Option<Admission> {
        breaker.admission().now_or_never()
    }

    /// How long it stays open, if it is.
    async fn pause(breaker: &Breaker) -> Duration {
        let start = Instant::now();
        assert_eq!(breaker.admission().await, Admission::Probe);
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_only() {
        let breaker = breaker();
        fail(&breaker, 4);
        breaker.begin().succeeded();
        fail(&breaker, 4);
        assert_eq!(now(&breaker), Some(Admission::All));
        fail(&breaker, 1);
        assert_eq!(now(&breaker), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_once_it_is_open_says_nothing_of_its_message() {
        let breaker = breaker();
        let late = breaker.begin();
        let healths = [(); 5].map(|()| breaker.begin().failed());
        assert_eq!(healths[..4], [Health::Alive; 4]);
        assert_eq!(healths[4], Health::Dead);
        assert_eq!(late.failed(), Health::Dead);
        pause(&breaker).await;
        assert_eq!(breaker.begin().failed(), Health::Dead, "the probe");
        breaker.begin().succeeded();
        assert_eq!(breaker.begin().failed(), Health::Alive);
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_doubles_with_each_probe_that_fails_up_to_a_minute() {
        let breaker = breaker();
        fail(&breaker, 5);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let waited = pause(&breaker).await;
            let expected = Duration::from_secs(seconds);
            assert!(
                waited >= expected && waited <= expected + 2 * MS,
                "{waited:?}"
            );
            fail(&breaker, 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_half_open_until_the_probe_ends() {
        let breaker = breaker();
        fail(&breaker, 5);
        pause(&breaker).await;
        let probe = breaker.begin();
        advance(Duration::from_secs(100)).await;
        assert_eq!(now(&breaker), Some(Admission::Probe));
        probe.succeeded();
        assert_eq!(now(&breaker), Some(Admission::All));
        // The pause begins anew.
        fail(&breaker, 5);
        assert!(pause(&breaker).await <= FIRST_PAUSE + 2 * MS);
    }

    #[tokio::test(start_paused = true)]
    async fn what_began_before_it_opened_and_fails_late_counts_for_nothing() {
        let breaker = breaker();
        let late: Vec<_> = (0..10).map(|_| breaker.begin()).collect();
        fail(&breaker, 5);
        drop(late);
        assert!(pause(&breaker).await <= FIRST_PAUSE + 2 * MS);
    }

    #[tokio::test(start_paused = true)]
    async fn what_began_before_it_opened_and_succeeds_late_closes_it() {
        let breaker = breaker();
        let late = breaker.begin();
        fail(&breaker, 5);
        let mut waiting = Box::pin(breaker.admission());
        assert_eq!(waiting.as_mut().now_or_never(), None);
        late.succeeded();
        assert_eq!(waiting.now_or_never(), Some(Admission::All));
    }

    #[tokio::test(start_paused = true)]
    async fn an_exchange_that_is_given_up_is_a_failure() {
        let breaker = breaker();
        for _ in 0..5 {
            drop(breaker.begin());
        }
        assert_eq!(now(&breaker), None);
    }
}
