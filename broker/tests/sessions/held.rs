//! An intake that takes some messages only once it is told to.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_broker::{Identity, Intake, SendRefusal, SendRequest};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// The payload of a message that waits until it is [let go](Held::let_go).
pub(crate) const HELD: &str = r#"{"body":"held"}"#;

/// The payload of a message that is taken at once.
pub(crate) const TAKEN: &str = r#"{"body":"taken"}"#;

/// Takes every message, those whose body begins as that of [`HELD`] one by one as they are let go.
pub(crate) struct Held {
    /// The bodies that came, in order.
    came: Mutex<Vec<String>>,
    let_go: Arc<Semaphore>,
}

impl Held {
    /// An intake to which nothing has come.
    pub(crate) fn new() -> Self {
        Self {
            came: Mutex::default(),
            let_go: Arc::new(Semaphore::new(0)),
        }
    }

    /// The bodies that came, in order, those that wait among them.
    pub(crate) fn came(&self) -> Vec<String> {
        self.came.lock().clone()
    }

    /// Takes one of the messages that wait.
    pub(crate) fn let_go(&self) {
        self.let_go.add_permits(1);
    }
}

impl Intake for Held {
    fn send(&self, _: &Identity, send: SendRequest) -> BoxFuture<'static, Result<(), SendRefusal>> {
        let waits = send.body.starts_with("held");
        self.came.lock().push(send.body);
        let let_go = self.let_go.clone();
        async move {
            if waits {
                let permit = let_go.acquire().await;
                permit.expect("the semaphore is never closed").forget();
            }
            Ok(())
        }
        .boxed()
    }
}
