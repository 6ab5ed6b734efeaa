//! Tasks that run for as long as the broker does.

use tokio_util::sync::CancellationToken;

/// Runs `task`, and cancels `crashed` if it panics.
pub(crate) async fn watched(task: impl Future, crashed: CancellationToken) {
    let guard = crashed.drop_guard();
    task.await;
    guard.disarm();
}
