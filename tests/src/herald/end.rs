//! How the server is ended: by a signal.

use std::fs;

use super::Herald;
use crate::{
    names::Names,
    wait::{until, within},
};

impl Herald {
    /// SIGTERM; panics unless the server exits with 0.
    pub async fn stop(&mut self) {
        self.signal("TERM");
        assert_eq!(self.ended().await, Some(0), "exit code");
    }

    /// Starts the server and sends SIGTERM as soon as it listens for that, as most of the start is yet to come: its exit code.
    pub async fn stop_while_starting(&mut self) -> Option<i32> {
        let child = self.spawn();
        let pid = child.id().unwrap();
        self.child = Some(child);
        until("the server to listen for SIGTERM", async || {
            listens_for_term(pid).then_some(())
        })
        .await;
        kill(pid, "TERM");
        self.ended().await
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        let child = self.child.as_mut().expect("the server runs");
        child.start_kill().unwrap();
        assert_eq!(self.ended().await, None, "exit code");
    }

    /// Starts the server after one that was killed, and kills it `after` it has begun to look at what is there.
    pub async fn begin_and_kill(&mut self, after: impl AsyncFnOnce()) {
        self.child = Some(self.spawn());
        let run_file = self.data_dir().join("run.json");
        until("the server's look at its folder", async || {
            (!run_file.exists()).then_some(())
        })
        .await;
        after().await;
        self.kill().await;
    }

    /// Stops the server and starts it on the same folder, on other ports.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.begin().await;
    }

    /// Sends the signal of this name.
    pub fn signal(&self, name: &str) {
        assert_eq!(self.names, Names::default(), "others use the server");
        kill(self.run().pid, name);
    }

    /// Waits for the server to end: its exit code, or `None` for a signal.
    pub async fn ended(&mut self) -> Option<i32> {
        let child = self.child.as_mut().expect("the server runs");
        let status = within("the server's end", child.wait()).await.unwrap();
        self.child = None;
        self.run = None;
        status.code()
    }
}

/// Sends the signal of this name.
pub(super) fn kill(pid: u32, name: &str) {
    let pid = pid.to_string();
    // Bash has it built in.
    let status = std::process::Command::new("bash")
        .args(["-c", r#"kill -s "$0" "$1""#, name, &pid])
        .status();
    assert!(status.is_ok_and(|s| s.success()), "kill -s {name} {pid}");
}

/// Whether the process catches SIGTERM.
pub(super) fn listens_for_term(pid: u32) -> bool {
    /// The bit of SIGTERM, 15.
    const TERM: u64 = 1 << 14;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mut caught = status.lines().filter_map(|l| l.strip_prefix("SigCgt:"));
    let caught = caught.next().map(|set| u64::from_str_radix(set.trim(), 16));
    caught.is_some_and(|set| set.is_ok_and(|set| set & TERM != 0))
}
