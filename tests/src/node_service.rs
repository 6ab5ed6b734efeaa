//! Services that messages are processed by, in Node.js.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::wait::within;

/// The secret by which webhooks of tests are signed.
pub const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A service that runs. Dropping it kills it.
pub struct NodeService {
    _child: Child,
    url: String,
}

impl NodeService {
    /// Starts `node`, which `set_up` gives a script that prints its URL once it listens.
    pub async fn start(set_up: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut node = Command::new("node");
        let node = set_up(&mut node).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = node.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = within("the service's start", lines.next_line()).await;
        Self {
            url: url.unwrap().unwrap(),
            _child: child,
        }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}
