//! Waits that are shorter while the broker stops, or once the client is back: neither waits for the other.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::mailbox::Mailbox;

/// How long may take what is still done for a client whose connection is over: its last responses, and its will.
const LAST_WORK: Duration = Duration::from_secs(12);

/// The same when the broker stops: as long as a write takes.
const LAST_WORK_AT_STOP: Duration = Duration::from_millis(300);

/// The same once the client has connected again, and waits for the session: as long as a write takes, not one that is held
/// back.
const LAST_WORK_AT_TAKEOVER: Duration = Duration::from_millis(200);

/// Resolves after `usually`; or, if that is earlier, when `at_stop` has passed since the later of this call and `stop`.
pub(crate) async fn patience(stop: &CancellationToken, usually: Duration, at_stop: Duration) {
    let stopping = async {
        stop.cancelled().await;
        sleep(at_stop).await;
    };
    tokio::select! {
        () = sleep(usually) => {}
        () = stopping => {}
    }
}

/// Resolves when work for a client whose connection is over takes too long, if nobody waits for its session.
pub(super) async fn last_work(stop: &CancellationToken) {
    patience(stop, LAST_WORK, LAST_WORK_AT_STOP).await;
}

/// The same of the session with this mailbox, which may be taken over meanwhile: returns whether it was.
pub(super) async fn last_work_of(mailbox: &Mailbox, stop: &CancellationToken) -> bool {
    let taken_over = async {
        while !mailbox.is_taken_over() {
            mailbox.ready().await;
        }
        sleep(LAST_WORK_AT_TAKEOVER).await;
    };
    tokio::select! {
        () = last_work(stop) => false,
        () = taken_over => true,
    }
}

/// The same where nobody can be expected to finish that work: the server is cut off, as by a stop.
pub(super) async fn last_work_cut_off(mailbox: &Mailbox) -> bool {
    sleep(LAST_WORK_AT_STOP).await;
    mailbox.is_taken_over()
}

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot, time::Instant};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_back_does_not_wait_for_its_last_connection() {
        let (mailbox, stop) = (Mailbox::default(), CancellationToken::new());
        let start = Instant::now();
        assert!(!last_work_of(&mailbox, &stop).await);
        assert_eq!(start.elapsed(), LAST_WORK);

        let start = Instant::now();
        let back = async {
            sleep(Duration::from_secs(1)).await;
            mailbox.nudge();
            sleep(Duration::from_secs(1)).await;
            mailbox.take_over(oneshot::channel().0);
        };
        let (was_taken_over, ()) = tokio::join!(last_work_of(&mailbox, &stop), back);
        assert!(was_taken_over);
        assert_eq!(
            start.elapsed(),
            Duration::from_secs(2) + LAST_WORK_AT_TAKEOVER
        );

        stop.cancel();
        let start = Instant::now();
        last_work(&stop).await;
        assert_eq!(start.elapsed(), LAST_WORK_AT_STOP);
    }
}
