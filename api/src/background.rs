//! What goes on when the client that asked for it has gone away.

use herald_store::StoreError;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Tasks that outlive the requests which began them. The server waits for them before it closes the store.
#[derive(Clone)]
pub(crate) struct Background(TaskTracker);

impl Background {
    pub(crate) fn new(tasks: TaskTracker) -> Self {
        Self(tasks)
    }

    /// Makes a change to the end, also if the client goes away; it ends when the store is closed.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let changed = self.0.spawn(change).await;
        changed.unwrap_or(Err(StoreError::Panicked))
    }

    /// Starts a task.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.0.spawn(task)
    }
}
