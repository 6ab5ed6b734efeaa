//! One deadline for all that a send waits for.

use std::time::Duration;

use herald_store::StoreError;
use tokio::time::{Instant, timeout_at};

/// How long a send takes at most whose sender can be refused.
const LONGEST: Duration = Duration::from_secs(10);

/// What of it is for the database: who has not had a turn by then is refused. The store begins nothing that has less than
/// 2.5 s left.
const LEAST: Duration = Duration::from_secs(3);

/// Waits for a permit, then writes with it, by the time that is given; `None` if it is not known by then whether that was done.
pub(super) async fn in_time<P, T>(
    permit: impl Future<Output = P>,
    write: impl AsyncFnOnce(Instant) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let deadline = Instant::now() + LONGEST;
    let permit = timeout_at(deadline - LEAST, permit).await;
    let _permit = permit.map_err(|_| StoreError::Busy)?;
    let written = timeout_at(deadline, write(deadline)).await;
    written.ok().transpose()
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::sleep;

    use super::*;

    /// How long it took.
    async fn timed<T>(sent: impl Future<Output = T>) -> (T, Duration) {
        let begun = Instant::now();
        let sent = sent.await;
        (sent, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_no_turn_is_refused_before_anything_is_written() {
        let write = async |_| unreachable!("it has no permit");
        let (sent, took) = timed(in_time::<(), ()>(pending(), write)).await;
        assert!(matches!(sent, Err(StoreError::Busy)), "{sent:?}");
        assert!(took < LONGEST, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_turn_and_the_database_share_a_deadline() {
        let turn = || sleep(LONGEST - LEAST - Duration::from_millis(1));
        let (sent, took) = timed(in_time::<_, ()>(turn(), async |_| pending().await)).await;
        assert!(matches!(sent, Ok(None)), "{sent:?}");
        assert_eq!(took, LONGEST);
        let write = async |_| {
            sleep(LEAST).await;
            Ok("written")
        };
        assert_eq!(in_time(turn(), write).await.unwrap(), Some("written"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_database_says_is_passed_on() {
        let sent = in_time::<_, ()>(ready(()), async |_| Err(StoreError::Locked)).await;
        assert!(matches!(sent, Err(StoreError::Locked)), "{sent:?}");
    }
}
