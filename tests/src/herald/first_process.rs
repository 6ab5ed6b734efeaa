//! The server as the first process there is, as in a container: signals that it does not catch do nothing to it.

use std::{fs, process::Command};

use super::{
    Herald,
    end::{kill, listens_for_term},
};
use crate::wait::until;

/// What makes a process the first one: for root, and for anyone where that is allowed.
const NAMESPACES: [&[&str]; 2] = [
    &["--pid", "--fork", "--kill-child", "--mount-proc"],
    &[
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--user",
        "--map-root-user",
    ],
];

/// Makes what follows the first process; `None`, having said why, where that is not allowed.
fn unshare() -> Option<Command> {
    let mut errors = String::new();
    for namespace in NAMESPACES {
        let mut command = Command::new("unshare");
        command.args(namespace);
        let tried = Command::new("unshare").args(namespace).arg("true").output();
        let tried = tried.unwrap();
        if tried.status.success() {
            return Some(command);
        }
        errors.push_str(&String::from_utf8_lossy(&tried.stderr));
    }
    eprintln!("SKIPPED: this test needs a PID namespace (docker: --privileged). Tried:\n{errors}");
    None
}

impl Herald {
    /// Starts the server as the first process. `false`, having said why, where that is not allowed.
    pub async fn begin_as_first_process(&mut self) -> bool {
        let Some(pid) = self.spawn_as_first_process().await else {
            return false;
        };
        let mut run = until("the server's start", async || {
            // Its own view of it.
            self.read_run().filter(|run| run.pid == 1)
        })
        .await;
        run.pid = pid;
        self.run = Some(run);
        true
    }

    /// Starts the server as the first process, and sends SIGTERM as soon as it listens for that, before it has done anything
    /// else: its exit code. `None`, having said why, where that is not allowed.
    pub async fn stop_first_process_while_starting(&mut self) -> Option<Option<i32>> {
        let pid = self.spawn_as_first_process().await?;
        let data_dir = self.data_dir();
        until("the server to listen for SIGTERM", async || {
            let begun = data_dir.exists();
            let listens = listens_for_term(pid);
            assert!(listens || !begun, "it has begun, and does not listen yet");
            listens.then_some(())
        })
        .await;
        kill(pid, "TERM");
        Some(self.ended().await)
    }

    /// The process as others see it.
    async fn spawn_as_first_process(&mut self) -> Option<u32> {
        let child = self.started_by(unshare()?).spawn().unwrap();
        let outer = child.id().unwrap();
        self.child = Some(child);
        let pid = until("the first process", async || {
            let children = format!("/proc/{outer}/task/{outer}/children");
            let children = fs::read_to_string(children).unwrap();
            let pid = children.split_whitespace().next()?.parse().unwrap();
            // Not what it was before.
            let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            program.ends_with("herald").then_some(pid)
        });
        Some(pid.await)
    }
}
