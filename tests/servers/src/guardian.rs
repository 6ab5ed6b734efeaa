//! A process of its own that ends a server and removes its folder, as the process that started the server may be killed.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

/// What it runs.
const SCRIPT: &str = include_str!("guardian.sh");

/// A temporary folder. Dropping it ends all processes that run there, and removes it.
#[derive(Debug)]
pub(crate) struct Guardian {
    folder: PathBuf,
    process: Child,
}

impl Guardian {
    /// Makes a folder in `parent`, with `name` in its own. `signal` is what ends a process there at once.
    pub(crate) fn start(parent: &Path, name: &str, signal: &str) -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "guardian"]);
        let folder = parent.join(format!("herald-{name}-XXXXXX"));
        command.arg(folder).arg(signal);
        // Not in the group that Ctrl-C ends.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot run sh")?;
        let mut folder = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut folder)?;
        }
        let folder = PathBuf::from(folder.trim_end());
        let guardian = Self { folder, process };
        ensure!(
            guardian.folder.is_dir(),
            "cannot make a folder for a server"
        );
        Ok(guardian)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It takes ten seconds at most.
        let ended = self.process.wait();
        if !ended.is_ok_and(|status| status.success()) {
            eprintln!("a server in {} could not be ended", self.folder.display());
        }
    }
}
