//! Whether this server may serve: the one answer that the broker, the worker and `/readyz` ask for.

use std::{
    future::pending,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_store::Moment;
use tokio::{sync::watch, time::sleep};

/// How long a server stands after it last *told* the others that it is there. They wait longer before they inherit from it: the
/// difference is what its clock and theirs may run apart, and what it takes to end.
pub(super) const STANDS: Duration = Duration::from_secs(3);

/// How long the rights in force here count as those of the database after it was last asked. It is asked four times a second.
const CURRENT: Duration = Duration::from_secs(1);

/// Without others to fear.
const FOR_EVER: u64 = u64::MAX;

/// Whether this server may serve. Nobody has to notice that it no longer does: it is so once the time has come.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Until when, as a [`Moment`].
    until: AtomicU64,
    /// How often it has risen: for those who wait for that.
    risen: watch::Sender<u64>,
    /// Until when the rights in force here are current, as a [`Moment`].
    current_until: AtomicU64,
    /// When the database was last asked for changes of rights, and answered.
    rights_read: watch::Sender<Option<Moment>>,
}

impl Standing {
    /// That of a server that shares its database with nobody.
    pub(crate) fn alone() -> Self {
        Self {
            until: AtomicU64::new(FOR_EVER),
            risen: watch::Sender::new(0),
            current_until: AtomicU64::new(FOR_EVER),
            rights_read: watch::Sender::new(None),
        }
    }

    /// That of a server that told the others at `told` that it is there, and knew the rights of then.
    pub(super) fn since(told: Moment) -> Self {
        let standing = Self::alone();
        standing.rise(told);
        standing.rights_read(told);
        standing
    }

    /// One that stands, and has not read rights for too long.
    #[cfg(test)]
    pub(crate) fn outdated_one() -> Self {
        let standing = Self::since(Moment::now());
        standing.rights_read(Moment::default());
        standing
    }

    /// Whether others hold this server to be there, as far as it can know.
    pub(crate) fn stands(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        until == FOR_EVER || Moment::now().as_millis() < until
    }

    /// How long it stands if it can tell the others nothing more.
    pub(super) fn left(&self) -> Duration {
        let until = self.until.load(Ordering::Acquire);
        Duration::from_millis(until.saturating_sub(Moment::now().as_millis()))
    }

    /// Others were told again, at `told`. `false`, and nothing changes, if it does not stand any more: then it has to rise anew.
    pub(super) fn extend(&self, told: Moment) -> bool {
        let stands = self.stands();
        if stands {
            self.until
                .store(told.after(STANDS).as_millis(), Ordering::Release);
        }
        stands
    }

    /// It does not stand any more.
    pub(super) fn fall(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// It stands again, as another one.
    pub(super) fn rise(&self, told: Moment) {
        self.until
            .store(told.after(STANDS).as_millis(), Ordering::Release);
        self.risen.send_modify(|times| *times += 1);
    }

    /// How often it has risen.
    pub(crate) fn times_risen(&self) -> u64 {
        *self.risen.borrow()
    }

    /// Waits until it stands.
    pub(crate) async fn stood_up(&self) {
        let mut risen = self.risen.subscribe();
        // The sender is here.
        while !self.stands() && risen.changed().await.is_ok() {}
    }

    /// Whether the rights in force here are those that the database had a moment ago.
    pub(crate) fn is_current(&self) -> bool {
        let until = self.current_until.load(Ordering::Acquire);
        until == FOR_EVER || Moment::now().as_millis() < until
    }

    /// All changes of rights are in force that the database had at `asked`. Of no effect for a server that stands alone: nobody
    /// else changes what it knows.
    pub(crate) fn rights_read(&self, asked: Moment) {
        if self.until.load(Ordering::Acquire) == FOR_EVER {
            return;
        }
        self.current_until
            .store(asked.after(CURRENT).as_millis(), Ordering::Release);
        self.rights_read.send_replace(Some(asked));
    }

    /// Waits until all changes of rights are in force that the database had at `moment`.
    pub(super) async fn rights_read_since(&self, moment: Moment) {
        let mut read = self.rights_read.subscribe();
        // The sender is here.
        let _ = read.wait_for(|read| *read >= Some(moment)).await;
    }

    /// Waits until the rights in force here are current.
    pub(crate) async fn current(&self) {
        let mut read = self.rights_read.subscribe();
        // The sender is here.
        while !self.is_current() && read.changed().await.is_ok() {}
    }

    /// Waits until the rights in force here are not current any more.
    pub(crate) async fn outdated(&self) {
        loop {
            let until = self.current_until.load(Ordering::Acquire);
            if until == FOR_EVER {
                return pending().await;
            }
            match until.saturating_sub(Moment::now().as_millis()) {
                0 => return,
                left => sleep(Duration::from_millis(left)).await,
            }
        }
    }
}

impl herald_broker::Standing for Standing {
    fn stands(&self) -> bool {
        Self::stands(self)
    }

    fn is_current(&self) -> bool {
        Self::is_current(self)
    }

    fn current(&self) -> BoxFuture<'_, ()> {
        Self::current(self).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(standing.extend(Moment::default()));
        assert!(!standing.stands());
        assert_eq!(standing.left(), Duration::ZERO);
        assert!(!standing.extend(Moment::now()));
        assert!(!standing.stands());
    }

    #[tokio::test]
    async fn rights_are_current_for_a_while_after_they_were_read() {
        let standing = Standing::outdated_one();
        assert!(standing.stands() && !standing.is_current());
        assert!(standing.outdated().now_or_never().is_some());
        let asked = Moment::now();
        let mut waiting = std::pin::pin!(standing.rights_read_since(asked));
        let mut current = std::pin::pin!(standing.current());
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(current.as_mut().now_or_never().is_none());
        standing.rights_read(asked);
        waiting.await;
        current.await;
        assert!(standing.is_current());
        standing.outdated().await;
        assert!(!standing.is_current());
    }

    #[tokio::test]
    async fn rights_of_who_shares_nothing_are_always_current() {
        let standing = Standing::alone();
        standing.rights_read(Moment::default());
        assert!(standing.is_current() && standing.current().now_or_never().is_some());
        assert!(standing.outdated().now_or_never().is_none());
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
