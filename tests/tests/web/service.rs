//! A service that processes messages.

use std::process::Stdio;

use herald_tests::within;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// `tests/js/web/service.mjs`. Dropping it kills it.
pub(crate) struct Service {
    _child: Child,
    pub(crate) url: String,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let mut child = Command::new("node")
            .arg("web/service.mjs")
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/js"))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = within("the service's start", lines.next_line()).await;
        Self {
            url: url.unwrap().unwrap(),
            _child: child,
        }
    }
}
