//! Whether this server may serve: the one answer that the broker, the worker and `/readyz` ask for.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::sync::watch;

/// How long a server stands after it last *told* the others that it is there. They wait longer before they inherit from it: the
/// difference is what its clock and theirs may run apart, and what it takes to end.
pub(super) const STANDS: Duration = Duration::from_secs(3);

/// Without others to fear.
const FOR_EVER: u64 = u64::MAX;

/// A moment, by a clock that goes on while the process is stopped, and the machine suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Moment {
    pub(super) fn now() -> Self {
        #[cfg(target_os = "linux")]
        let clock = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let clock = rustix::time::ClockId::Monotonic;
        let time = rustix::time::clock_gettime(clock);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let millis = u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000;
        Self(seconds.saturating_mul(1000).saturating_add(millis))
    }

    /// So much later.
    pub(super) fn after(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

/// Whether this server may serve. Nobody has to notice that it no longer does: it is so once the time has come.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Until when, as a [`Moment`].
    until: AtomicU64,
    /// How often it has risen: for those who wait for that.
    risen: watch::Sender<u64>,
}

impl Standing {
    /// That of a server that shares its database with nobody.
    pub(crate) fn alone() -> Self {
        Self {
            until: AtomicU64::new(FOR_EVER),
            risen: watch::Sender::new(0),
        }
    }

    /// That of a server that told the others at `told` that it is there.
    pub(super) fn since(told: Moment) -> Self {
        let standing = Self::alone();
        standing.rise(told);
        standing
    }

    /// Whether others hold this server to be there, as far as it can know.
    pub(crate) fn stands(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        until == FOR_EVER || Moment::now().0 < until
    }

    /// How long it stands if it can tell the others nothing more.
    pub(super) fn left(&self) -> Duration {
        let until = self.until.load(Ordering::Acquire);
        Duration::from_millis(until.saturating_sub(Moment::now().0))
    }

    /// Others were told again, at `told`. `false`, and nothing changes, if it does not stand any more: then it has to rise anew.
    pub(super) fn extend(&self, told: Moment) -> bool {
        let stands = self.stands();
        if stands {
            self.until.store(told.after(STANDS).0, Ordering::Release);
        }
        stands
    }

    /// It does not stand any more.
    pub(super) fn fall(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// It stands again, as another one.
    pub(super) fn rise(&self, told: Moment) {
        self.until.store(told.after(STANDS).0, Ordering::Release);
        self.risen.send_modify(|times| *times += 1);
    }

    /// Waits until it stands.
    pub(crate) async fn stood_up(&self) {
        let mut risen = self.risen.subscribe();
        // The sender is here.
        while !self.stands() && risen.changed().await.is_ok() {}
    }
}

impl herald_broker::Standing for Standing {
    fn stands(&self) -> bool {
        Self::stands(self)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn long_ago() -> Moment {
        Moment(Moment::now().0.saturating_sub(STANDS.as_millis() as u64))
    }

    #[test]
    fn who_shares_nothing_always_stands() {
        let standing = Standing::alone();
        assert!(standing.stands());
        assert!(standing.stood_up().now_or_never().is_some());
    }

    #[test]
    fn it_falls_by_itself_and_what_comes_late_does_not_raise_it() {
        let standing = Standing::since(Moment::now());
        assert!(standing.stands() && standing.left() > Duration::from_secs(1));
        assert!(standing.extend(long_ago()));
        assert!(!standing.stands());
        assert_eq!(standing.left(), Duration::ZERO);
        assert!(!standing.extend(Moment::now()));
        assert!(!standing.stands());
    }

    #[tokio::test]
    async fn who_waits_for_it_learns_that_it_has_risen() {
        let standing = Standing::since(Moment::now());
        standing.fall();
        let mut waiting = std::pin::pin!(standing.stood_up());
        assert!(waiting.as_mut().now_or_never().is_none());
        standing.rise(Moment::now());
        waiting.await;
        assert!(standing.stands());
    }
}
