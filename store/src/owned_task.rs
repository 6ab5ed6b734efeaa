//! A task that ends with the store.

use std::sync::{Mutex, PoisonError};

use tokio::task::JoinHandle;

/// A task of the store's, until it has ended.
#[derive(Debug, Default)]
pub(crate) struct OwnedTask(Mutex<Option<JoinHandle<()>>>);

impl OwnedTask {
    pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Mutex::new(Some(tokio::spawn(task))))
    }

    /// Waits until it has ended, which it must have been asked to do. Only the first call waits. `what` it is goes to the
    /// log if it crashed.
    pub(crate) async fn join(&self, what: &str) {
        let task = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "{what} crashed");
        }
    }
}
