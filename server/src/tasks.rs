//! The background tasks of a server: each has a name, an owner that waits for it, and a stage in which it ends.

use std::time::Duration;

use anyhow::anyhow;
use futures_util::future::select_all;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// When a task ends. All tasks of a stage are stopped at once, and when they have ended, those of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Takes in connections, or begins work. What it has begun is finished, and the users notified.
    Work,
    /// Serves MQTT sessions.
    Sessions,
    /// Is needed by whatever is still connected.
    Connections,
    /// Writes what the others leave.
    Writers,
}

impl Stage {
    /// In the order in which they end.
    const ALL: [Self; 4] = [Self::Work, Self::Sessions, Self::Connections, Self::Writers];
}

struct Task {
    name: &'static str,
    stage: Stage,
    handle: JoinHandle<anyhow::Result<()>>,
}

/// The tasks that run until the server stops.
pub(crate) struct Tasks {
    tasks: Vec<Task>,
    /// Stops the tasks of each stage.
    stops: [CancellationToken; Stage::ALL.len()],
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self {
            tasks: Vec::new(),
            stops: Default::default(),
        }
    }

    /// Cancelled when what belongs to `stage` is to end.
    pub(crate) fn stop_of(&self, stage: Stage) -> CancellationToken {
        self.stops[stage as usize].clone()
    }

    /// Starts a task that runs until the token which it is given is cancelled, and no longer than it takes to end then.
    pub(crate) fn spawn<F>(
        &mut self,
        stage: Stage,
        name: &'static str,
        task: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output: IntoEnd> + Send + 'static,
    {
        let running = task(self.stop_of(stage));
        let handle = tokio::spawn(async move { running.await.into_end() });
        self.tasks.push(Task {
            name,
            stage,
            handle,
        });
    }

    /// Waits in `stage` until what `tracker` counts has ended, for `patience` at most.
    pub(crate) fn wait_for(
        &mut self,
        stage: Stage,
        name: &'static str,
        tracker: TaskTracker,
        patience: Duration,
    ) {
        self.spawn(stage, name, async move |stop| {
            stop.cancelled().await;
            tracker.close();
            if timeout(patience, tracker.wait()).await.is_err() {
                tracing::warn!(left = tracker.len(), "some {name} did not end in time");
            }
        });
    }

    /// Resolves when a task has ended by itself, which none should, with the reason.
    pub(crate) async fn first_to_end(&mut self) -> anyhow::Error {
        let running = self.tasks.iter_mut().map(|task| &mut task.handle);
        let (ended, index, _) = select_all(running).await;
        let name = self.tasks.remove(index).name;
        match ended {
            Ok(Ok(())) => anyhow!("the {name} ended by itself"),
            Ok(Err(error)) => error,
            // What a panic says may be secret: it is in the log alone.
            Err(_) => anyhow!("the {name} crashed"),
        }
    }

    /// Ends them all, stage by stage.
    pub(crate) async fn stop(mut self) {
        for stage in Stage::ALL {
            self.stops[stage as usize].cancel();
            for task in self.tasks.extract_if(.., |task| task.stage == stage) {
                match task.handle.await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::error!(error = format!("{error:#}"), "the {} failed", task.name);
                    }
                    Err(_) => tracing::error!("the {} crashed", task.name),
                }
            }
        }
    }
}

/// What a task may come to.
pub(crate) trait IntoEnd {
    fn into_end(self) -> anyhow::Result<()>;
}

impl IntoEnd for () {
    fn into_end(self) -> anyhow::Result<()> {
        Ok(())
    }
}

impl<E: Into<anyhow::Error>> IntoEnd for Result<(), E> {
    fn into_end(self) -> anyhow::Result<()> {
        self.map_err(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn stages_end_one_after_the_other() {
        let ended = Arc::<Mutex<Vec<&str>>>::default();
        let mut tasks = Tasks::new();
        // Begun in an order that is not theirs.
        for (stage, name) in [
            (Stage::Writers, "writer"),
            (Stage::Work, "worker"),
            (Stage::Connections, "listener"),
            (Stage::Sessions, "broker"),
        ] {
            let ended = Arc::clone(&ended);
            tasks.spawn(stage, name, async move |stop| {
                stop.cancelled().await;
                // Whoever does not wait for this one is ahead of it now.
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                ended.lock().unwrap().push(name);
            });
        }
        tasks.stop().await;
        assert_eq!(
            *ended.lock().unwrap(),
            ["worker", "broker", "listener", "writer"]
        );
    }

    #[tokio::test]
    async fn a_task_that_ends_by_itself_is_named_and_the_others_can_still_be_stopped() {
        let mut tasks = Tasks::new();
        tasks.spawn(Stage::Work, "worker", async |stop| stop.cancelled().await);
        tasks.spawn(Stage::Writers, "audit writer", async |_| {});
        let reason = tasks.first_to_end().await.to_string();
        assert_eq!(reason, "the audit writer ended by itself");
        tasks.spawn(Stage::Writers, "mark writer", async |_| {
            Err(anyhow!("no space"))
        });
        assert_eq!(tasks.first_to_end().await.to_string(), "no space");
        tasks.stop().await;
    }

    #[tokio::test]
    async fn what_a_panic_says_stays_in_the_log() {
        let mut tasks = Tasks::new();
        tasks.spawn(Stage::Work, "worker", async |stop| {
            assert!(stop.is_cancelled(), "a secret");
        });
        let reason = tasks.first_to_end().await.to_string();
        assert_eq!(reason, "the worker crashed");
    }

    #[tokio::test]
    async fn what_does_not_end_is_waited_for_with_patience() {
        let tracker = TaskTracker::new();
        let endless = tracker.spawn(std::future::pending::<()>());
        let mut tasks = Tasks::new();
        tasks.wait_for(Stage::Work, "connections", tracker, Duration::ZERO);
        tasks.stop().await;
        endless.abort();
    }
}
