//! Permits to read lists: each user has few at once, and all together fewer than would hold up everything else.

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use herald_store::UserId;
use poem::Result;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::{
    background::Background,
    error::{ApiError, Code},
    limits::{
        budget::Shares,
        keyed_semaphore::{KeyedPermit, KeyedSemaphore},
    },
};

/// How long a read waits for its permit.
const PATIENCE: Duration = Duration::from_secs(3);

/// Reads of one user that run or wait; more are refused at once.
const MAX_MEMBERS: usize = 256;

/// Gives the permits. A user queues for them with as many reads as they may have at once, so that those with many are no
/// more often first than others.
pub(crate) struct ListReads {
    of_user: Arc<KeyedSemaphore<UserId>>,
    all: Arc<Semaphore>,
    /// Where reads go on that nobody waits for any more, with their permits; `None` if the database ends them.
    reads_on: Option<Background>,
}

/// The right to read a list, until dropped.
struct ReadPermit {
    _all: OwnedSemaphorePermit,
    _own: KeyedPermit<UserId>,
}

impl ListReads {
    pub(crate) fn new(shares: Shares, reads_on: Option<Background>) -> Self {
        Self {
            of_user: KeyedSemaphore::new(shares.each, MAX_MEMBERS),
            all: Arc::new(Semaphore::new(shares.in_all.min(Semaphore::MAX_PERMITS))),
            reads_on,
        }
    }

    /// Waits for a permit of `user`, then for what `read` reads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        user: &UserId,
        read: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let permit = self.acquire(user).await?;
        let Some(background) = &self.reads_on else {
            let _permit = permit;
            return read.await;
        };
        let read = background.spawn(async move {
            let _permit = permit;
            read.await
        });
        match read.await {
            Ok(read) => read,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(error) => Err(ApiError::internal(&error).into()),
        }
    }

    async fn acquire(&self, user: &UserId) -> Result<ReadPermit, ApiError> {
        let deadline = Instant::now() + PATIENCE;
        let own = timeout_at(deadline, self.of_user.acquire(user.clone())).await;
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
        Ok(ReadPermit {
            _all: all,
            _own: own,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt as _;
    use poem::{error::ResponseError as _, http::StatusCode};
    use tokio::{sync::oneshot, time::timeout};
    use tokio_util::task::TaskTracker;

    use super::*;

    fn reads(in_all: usize, each: usize) -> ListReads {
        ListReads::new(Shares { in_all, each }, None)
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_much_at_once_waits_for_their_own_and_nobody_else_does() {
        let reads = reads(3, 2);
        let (alice, bob) = (UserId::new(), UserId::new());
        let first = reads.acquire(&alice).await.ok().unwrap();
        let _second = reads.acquire(&alice).await.ok().unwrap();
        let mut third = Box::pin(reads.acquire(&alice));
        assert!((&mut third).now_or_never().is_none());
        assert!(
            reads
                .acquire(&bob)
                .now_or_never()
                .is_some_and(|p| p.is_ok())
        );
        drop(first);
        let third = third.now_or_never();
        assert!(third.is_some_and(|permit| permit.is_ok()));
        let _third = reads.acquire(&alice).await.ok().unwrap();
        let refused = reads.acquire(&alice).await.err().unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_with_very_many_reads_is_one_among_others() {
        let reads = reads(1, 1);
        let (alice, bob) = (UserId::new(), UserId::new());
        let running = reads.acquire(&alice).await.ok().unwrap();
        let mut many: Vec<_> = (1..MAX_MEMBERS)
            .map(|_| Box::pin(reads.acquire(&alice)))
            .collect();
        for one in &mut many {
            assert!(one.now_or_never().is_none());
        }
        let one_more = reads.acquire(&alice).now_or_never().unwrap();
        let refused = one_more.err().unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let mut bobs = Box::pin(reads.acquire(&bob));
        assert!((&mut bobs).now_or_never().is_none());
        drop(running);
        assert!(bobs.now_or_never().is_some_and(|permit| permit.is_ok()));
    }

    /// A server reads on.
    #[tokio::test(start_paused = true)]
    async fn a_read_that_is_given_up_counts_until_it_ends() {
        let (background, shares) = (TaskTracker::new(), Shares { in_all: 2, each: 1 });
        let reads = ListReads::new(shares, Some(Background::new(background.clone())));
        let (alice, bob) = (UserId::new(), UserId::new());
        let (end, ended) = oneshot::channel();
        let read = reads.run(&alice, async { Ok(ended.await) });
        timeout(Duration::from_millis(1), read).await.unwrap_err();
        let refused = reads.run(&alice, ready(Ok(()))).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        reads.run(&bob, ready(Ok(()))).await.unwrap();
        end.send(()).unwrap();
        reads.run(&alice, ready(Ok(()))).await.unwrap();
        background.close();
        background.wait().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_of_a_file_that_is_given_up_has_ended() {
        let reads = reads(1, 1);
        let alice = UserId::new();
        let read = reads.run(&alice, pending::<Result<()>>());
        timeout(Duration::from_millis(1), read).await.unwrap_err();
        reads.run(&alice, ready(Ok(()))).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn if_all_permits_are_taken_the_server_is_busy() {
        let reads = reads(1, 1);
        let _running = reads.acquire(&UserId::new()).await.ok().unwrap();
        let refused = reads.acquire(&UserId::new()).await.err().unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
