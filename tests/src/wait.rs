//! Waiting for events. Tests never sleep to give something time.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// How long any event may take before its test fails. Far longer than any takes.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Pause between two questions of [`until`].
const PAUSE: Duration = Duration::from_millis(5);

/// The output of `future`; panics with `what` if it takes too long.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(LIMIT, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}

/// Asks until `probe` has an answer: for what can be seen but not waited for, as a file or a row.
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(answer) = probe().await {
                return answer;
            }
            sleep(PAUSE).await;
        }
    })
    .await
}
