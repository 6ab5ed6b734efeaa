//! Turns to read lists: each user has few at once, and all together fewer than would hold up everything else.

use std::{sync::Arc, time::Duration};

use herald_store::UserId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::{
    error::{ApiError, Code},
    limits::{
        budget::Shares,
        lines::{Head, Lines},
    },
};

/// How long a read waits for its turn.
const PATIENCE: Duration = Duration::from_secs(3);

/// Reads of one user that run or wait; more are refused at once.
const LONGEST: usize = 256;

/// Hands out the turns. A user stands in line for them with as many reads as they may have at once, so that those with many
/// are no more often at the head of it than others.
pub(crate) struct ListReads {
    of_user: Arc<Lines<UserId>>,
    all: Arc<Semaphore>,
}

/// The right to read a list, until dropped.
pub(crate) struct Turn {
    _all: OwnedSemaphorePermit,
    _own: Head<UserId>,
}

impl ListReads {
    pub(crate) fn new(shares: Shares) -> Self {
        Self {
            of_user: Lines::new(shares.each, LONGEST),
            all: Arc::new(Semaphore::new(shares.in_all.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Waits for a turn of `user`.
    pub(crate) async fn turn(&self, user: &UserId) -> Result<Turn, ApiError> {
        let deadline = Instant::now() + PATIENCE;
        let own = timeout_at(deadline, self.of_user.head(user.clone())).await;
        let Ok(Ok(own)) = own else {
            let detail =
                "You read too much at once. Wait for some answers before you ask for more.";
            let error = ApiError::new(Code::RateLimited, detail);
            return Err(error.retry_after(Duration::from_secs(1)));
        };
        let all = timeout_at(deadline, Arc::clone(&self.all).acquire_owned()).await;
        let Ok(Ok(all)) = all else {
            return Err(ApiError::busy());
        };
        Ok(Turn {
            _all: all,
            _own: own,
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use poem::{error::ResponseError as _, http::StatusCode};

    use super::*;

    fn reads(in_all: usize, each: usize) -> ListReads {
        ListReads::new(Shares { in_all, each })
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_much_at_once_waits_for_their_own_and_nobody_else_does() {
        let reads = reads(3, 2);
        let (alice, bob) = (UserId::new(), UserId::new());
        let first = reads.turn(&alice).await.ok().unwrap();
        let _second = reads.turn(&alice).await.ok().unwrap();
        let mut third = Box::pin(reads.turn(&alice));
        assert!((&mut third).now_or_never().is_none());
        assert!(reads.turn(&bob).now_or_never().is_some_and(|t| t.is_ok()));
        drop(first);
        let third = third.now_or_never();
        assert!(third.is_some_and(|turn| turn.is_ok()));
        let _third = reads.turn(&alice).await.ok().unwrap();
        let refused = reads.turn(&alice).await.err().unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_with_very_many_reads_is_one_among_others() {
        let reads = reads(1, 1);
        let (alice, bob) = (UserId::new(), UserId::new());
        let running = reads.turn(&alice).await.ok().unwrap();
        let mut many: Vec<_> = (1..LONGEST).map(|_| Box::pin(reads.turn(&alice))).collect();
        for one in &mut many {
            assert!(one.now_or_never().is_none());
        }
        let one_more = reads.turn(&alice).now_or_never().unwrap();
        let refused = one_more.err().unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let mut bobs = Box::pin(reads.turn(&bob));
        assert!((&mut bobs).now_or_never().is_none());
        drop(running);
        assert!(bobs.now_or_never().is_some_and(|turn| turn.is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn if_all_turns_are_taken_the_server_is_busy() {
        let reads = reads(1, 1);
        let _running = reads.turn(&UserId::new()).await.ok().unwrap();
        let refused = reads.turn(&UserId::new()).await.err().unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
