//! Bytes that clients make the server hold: bounded for each client and in all.

use std::{collections::HashMap, fmt, net::IpAddr, sync::Arc, time::Duration};

use herald_store::UserId;
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Holds of one payer that may wait for bytes; more are refused at once.
const WAITING: usize = 128;

/// How much of something all may have together, and each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// All together.
    pub in_all: usize,
    /// One.
    pub each: usize,
}

/// Whose share is used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Payer {
    /// A user.
    User(UserId),
    /// Clients that are not signed in, by what counts as one address.
    Address(IpAddr),
}

/// Why there are no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exhausted {
    /// The payer's share is used up.
    Share,
    /// All together have used up what there is.
    All,
}

/// Counts bytes that are held.
pub(crate) struct Budget {
    shares: Shares,
    all: Arc<Semaphore>,
    payers: Mutex<HashMap<Payer, Account>>,
}

/// What is known of a payer who holds bytes or waits for some.
struct Account {
    bytes: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// The holds, those that wait among them.
    holds: usize,
}

/// Bytes that are held, until dropped.
pub(crate) struct Held {
    budget: Arc<Budget>,
    payer: Payer,
    permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Budget {
    pub(crate) fn new(shares: Shares) -> Arc<Self> {
        // A permit is a byte, and tokio counts those of one acquire as u32.
        let each = shares.each.min(shares.in_all).min(u32::MAX as usize);
        Arc::new(Self {
            shares: Shares { each, ..shares },
            all: Arc::new(Semaphore::new(shares.in_all.min(Semaphore::MAX_PERMITS))),
            payers: Mutex::default(),
        })
    }

    /// Holds `bytes` of the share of `payer`, or the whole share if that is less. Waits at most `patience`, first
    /// come, first served.
    pub(crate) async fn hold(
        self: &Arc<Self>,
        payer: Payer,
        bytes: usize,
        patience: Duration,
    ) -> Result<Held, Exhausted> {
        let bytes = u32::try_from(bytes.min(self.shares.each)).unwrap_or(u32::MAX);
        let (own, waiting) = self.enter(&payer);
        // Made first, so that a wait that is given up cleans up, too.
        let mut held = Held {
            budget: Arc::clone(self),
            payer,
            permits: None,
        };
        let free = Arc::clone(&own).try_acquire_many_owned(bytes);
        let _waits = match free.is_err() {
            true => Some(waiting.try_acquire().map_err(|_| Exhausted::Share)?),
            false => None,
        };
        let deadline = tokio::time::Instant::now() + patience;
        let own = match free {
            Ok(own) => own,
            Err(_) => timeout(patience, own.acquire_many_owned(bytes))
                .await
                .map_err(|_| Exhausted::Share)?
                .map_err(|_| Exhausted::Share)?,
        };
        let all = Arc::clone(&self.all).acquire_many_owned(bytes);
        let all = tokio::time::timeout_at(deadline, all).await;
        let all = all
            .map_err(|_| Exhausted::All)?
            .map_err(|_| Exhausted::All)?;
        held.permits = Some((own, all));
        Ok(held)
    }

    fn enter(&self, payer: &Payer) -> (Arc<Semaphore>, Arc<Semaphore>) {
        let mut payers = self.payers.lock();
        let account = payers.entry(payer.clone()).or_insert_with(|| Account {
            bytes: Arc::new(Semaphore::new(self.shares.each)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            holds: 0,
        });
        account.holds += 1;
        (Arc::clone(&account.bytes), Arc::clone(&account.waiting))
    }
}

impl Held {
    /// How many they are.
    pub(crate) fn bytes(&self) -> usize {
        let permits = self.permits.as_ref();
        permits.map_or(0, |(own, _)| own.num_permits())
    }

    /// Holds `bytes` from now on, at most the payer's share: gives back what is more, or waits at most `patience` for what is
    /// missing.
    pub(crate) async fn resize(
        &mut self,
        bytes: usize,
        patience: Duration,
    ) -> Result<(), Exhausted> {
        let now = self.bytes();
        if bytes <= now {
            drop(self.split(now - bytes));
            return Ok(());
        }
        let missing = bytes.min(self.budget.shares.each).saturating_sub(now);
        let budget = Arc::clone(&self.budget);
        let mut more = budget.hold(self.payer.clone(), missing, patience).await?;
        match (&mut self.permits, more.permits.take()) {
            (Some((own, all)), Some((more_own, more_all))) => {
                own.merge(more_own);
                all.merge(more_all);
            }
            (none, more) => *none = more,
        }
        Ok(())
    }

    /// Splits off `bytes`, or all if there are fewer, to be given back separately.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes());
        let permits = self.permits.as_mut();
        let permits = permits.and_then(|(own, all)| Some((own.split(bytes)?, all.split(bytes)?)));
        self.budget.enter(&self.payer);
        Self {
            budget: Arc::clone(&self.budget),
            payer: self.payer.clone(),
            permits,
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.permits = None;
        let mut payers = self.budget.payers.lock();
        if let Some(account) = payers.get_mut(&self.payer) {
            account.holds -= 1;
            if account.holds == 0 {
                payers.remove(&self.payer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn budget(in_all: usize, each: usize) -> Arc<Budget> {
        Budget::new(Shares { in_all, each })
    }

    fn payer(n: u8) -> Payer {
        Payer::Address([192, 0, 2, n].into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_payer_whose_share_is_used_up_waits_and_another_does_not() {
        let budget = budget(100, 10);
        let mut held = budget.hold(payer(1), 8, SECOND).await.unwrap();
        let refused = budget.hold(payer(1), 3, SECOND).await;
        assert_eq!(refused.err(), Some(Exhausted::Share));
        assert!(budget.hold(payer(2), 10, SECOND).now_or_never().is_some());
        held.resize(7, SECOND).await.unwrap();
        let more = budget.hold(payer(1), 3, SECOND).await.unwrap();
        drop((held, more));
        assert!(budget.payers.lock().is_empty());
        assert_eq!(budget.all.available_permits(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn all_together_have_no_more_than_there_is() {
        let budget = budget(20, 10);
        let (one, _two) = (
            budget.hold(payer(1), 10, SECOND).await.unwrap(),
            budget.hold(payer(2), 10, SECOND).await.unwrap(),
        );
        let refused = budget.hold(payer(3), 1, SECOND).await;
        assert_eq!(refused.err(), Some(Exhausted::All));
        drop(one);
        assert!(budget.hold(payer(3), 1, SECOND).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_larger_than_the_share_takes_the_share() {
        let budget = budget(100, 10);
        let mut held = budget.hold(payer(1), 1000, SECOND).await.unwrap();
        assert_eq!(held.bytes(), 10);
        held.resize(2000, SECOND).await.unwrap();
        assert_eq!(held.bytes(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_of_a_payer_wait() {
        let budget = budget(100, 10);
        let _held = budget.hold(payer(1), 10, SECOND).await.unwrap();
        let mut waiting: Vec<_> = (0..WAITING)
            .map(|_| Box::pin(budget.hold(payer(1), 1, SECOND)))
            .collect();
        for one in &mut waiting {
            assert!(one.now_or_never().is_none());
        }
        let one_more = budget.hold(payer(1), 1, SECOND).now_or_never();
        assert!(matches!(one_more, Some(Err(Exhausted::Share))));
    }

    proptest! {
        /// Whatever is held, resized, split and dropped in whatever order: the bounds hold, and all comes back.
        #[test]
        fn what_is_held_is_bounded_and_comes_back(
            steps in prop::collection::vec((0u8..4, 0u8..3, 0usize..30), 0..60),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let budget = budget(40, 20);
                let mut held: Vec<Held> = vec![];
                for (step, who, bytes) in steps {
                    match step {
                        0 => held.extend(budget.hold(payer(who), bytes, Duration::ZERO).await),
                        1 if !held.is_empty() => {
                            let at = bytes % held.len();
                            let _ = held[at].resize(bytes, Duration::ZERO).await;
                        }
                        2 if !held.is_empty() => {
                            let at = bytes % held.len();
                            let part = held[at].split(bytes);
                            held.push(part);
                        }
                        _ if !held.is_empty() => drop(held.swap_remove(bytes % held.len())),
                        _ => {}
                    }
                    let all: usize = held.iter().map(Held::bytes).sum();
                    assert!(all <= 40);
                    assert_eq!(all + budget.all.available_permits(), 40);
                    for n in 0..3 {
                        let of: usize = held.iter().filter(|h| h.payer == payer(n)).map(Held::bytes).sum();
                        assert!(of <= 20);
                    }
                }
                held.clear();
                assert!(budget.payers.lock().is_empty());
                assert_eq!(budget.all.available_permits(), 40);
            });
        }
    }
}
