//! Waits that are shorter while the broker stops: whoever stops it does not wait for clients.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Resolves after `usually`; or, if that is earlier, when `at_stop` has passed since the later of this call and `stop`.
pub(super) async fn patience(stop: &CancellationToken, usually: Duration, at_stop: Duration) {
    let stopping = async {
        stop.cancelled().await;
        sleep(at_stop).await;
    };
    tokio::select! {
        () = sleep(usually) => {}
        () = stopping => {}
    }
}
