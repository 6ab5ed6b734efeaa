//! How the server is started.

use std::{
    fs::{self, File},
    process::Stdio,
};

use tokio::process::{Child, ChildStderr, Command};

use super::Herald;
use crate::{
    cli,
    wait::{until, within},
};

impl Herald {
    /// Starts the server on what is in its folder.
    pub async fn begin(&mut self) {
        let child = self.spawn();
        self.started(child).await;
        self.begin_others().await;
    }

    /// Waits until `child` is ready.
    async fn started(&mut self, child: Child) {
        let pid = child.id();
        self.child = Some(child);
        let run = until("the server's start", async || {
            if let Some(status) = self.child.as_mut()?.try_wait().unwrap() {
                panic!("the server ended: {status}");
            }
            // A killed server leaves its own behind.
            self.read_run().filter(|run| Some(run.pid) == pid)
        })
        .await;
        self.run = Some(run);
    }

    /// Starts the server with more environment variables, this once.
    pub async fn begin_with(&mut self, settings: &[(&str, &str)]) {
        let child = self.command().envs(settings.iter().copied()).spawn();
        self.started(child.unwrap()).await;
    }

    /// Starts the server so that it may open so many files, and no more.
    pub async fn begin_with_files(&mut self, files: u32) {
        let mut limited = std::process::Command::new("bash");
        limited.args(["-c", r#"ulimit -n "$0" && exec "$@""#, &files.to_string()]);
        let child = self.started_by(limited).spawn();
        self.started(child.unwrap()).await;
    }

    /// What starts the server, if `starter` starts what its arguments end with.
    pub(super) fn started_by(&self, mut starter: std::process::Command) -> Command {
        let plain = self.command();
        let plain = plain.as_std();
        starter.arg(plain.get_program()).args(plain.get_args());
        let mut command = cli::prepared(starter.into());
        let output = |name| File::create(self.output(name)).unwrap();
        command
            .current_dir(self.folder.path())
            .envs(self.settings.iter().map(|(k, v)| (k, v)))
            .stdout(output("stdout"))
            .stderr(output("stderr"));
        command
    }

    /// Starts the server with something else as standard error than a file, and returns it if it is a pipe.
    pub async fn begin_with_stderr(&mut self, stderr: Stdio) -> Option<ChildStderr> {
        let mut child = self.command().stderr(stderr).spawn().unwrap();
        let errors = child.stderr.take();
        self.started(child).await;
        errors
    }

    /// Starts the server, which is expected to fail: its exit code and what it wrote to standard error.
    pub async fn begin_in_vain(&mut self) -> (i32, String) {
        let mut child = self.spawn();
        let status = within("the server's end", child.wait()).await.unwrap();
        let errors = fs::read_to_string(self.output("stderr")).unwrap();
        (status.code().unwrap(), errors)
    }

    pub(super) fn spawn(&self) -> Child {
        self.command().spawn().unwrap()
    }

    fn command(&self) -> Command {
        let output = |name| File::create(self.output(name)).unwrap();
        let mut command = match &self.disk {
            Some(disk) => disk.command(&self.mount_point()),
            None => cli::command(),
        };
        // Without a command it serves, as with `cargo run`.
        command
            .current_dir(self.folder.path())
            .arg("--data-dir")
            .arg(self.mount_point())
            .envs(self.settings.iter().map(|(k, v)| (k, v)))
            .stdout(output("stdout"))
            .stderr(output("stderr"));
        command
    }
}
