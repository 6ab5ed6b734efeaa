//! A running server with a folder of its own.

mod first_process;

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
};

use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, ChildStderr, Command};

use crate::{
    cli::{self, Cli},
    disk::{self, SmallDisk},
    http::Http,
    ports::free_ports,
    wait::{until, within},
};

/// `run.json`: what the server says of itself while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Process id.
    pub pid: u32,
    /// Herald's version.
    pub version: String,
    /// Address of HTTPS and WSS.
    pub http: Option<String>,
    /// Address of MQTT over TLS.
    pub mqtt_tls: Option<String>,
    /// Address of plain MQTT.
    pub mqtt_tcp: Option<String>,
    /// Address of the metrics.
    pub metrics: Option<String>,
}

/// The password of each test account.
#[must_use]
pub fn password(username: &str) -> String {
    match username {
        "admin" => "admin".into(),
        name => format!("password of {name}"),
    }
}

/// The settings that say where the server listens.
const LISTENERS: [&str; 3] = [
    "HERALD_HTTP__LISTEN",
    "HERALD_MQTT__LISTEN_TLS",
    "HERALD_MQTT__LISTEN_TCP",
];

/// A server on free ports of loopback. Dropping it kills it.
pub struct Herald {
    folder: TempDir,
    settings: Vec<(String, String)>,
    disk: Option<SmallDisk>,
    child: Option<Child>,
    run: Option<Run>,
}

impl Herald {
    /// A fresh server.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A fresh server with more environment variables.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let mut herald = Self::stopped(settings);
        herald.begin().await;
        herald
    }

    /// A fresh server that processes messages at once, with ordinary accounts for `users`.
    pub async fn with_users(users: &[&str]) -> Self {
        let herald = Self::start().await;
        let admin = herald.http("admin").await;
        admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
        for user in users {
            admin.create_user(user, "user").await;
        }
        herald
    }

    /// A server that has yet to [`begin`](Self::begin).
    #[must_use]
    pub fn stopped(settings: &[(&str, &str)]) -> Self {
        let free = LISTENERS.map(|name| (name, "127.0.0.1:0"));
        let settings = free.iter().chain(settings);
        Self {
            folder: TempDir::with_prefix("herald-").unwrap(),
            settings: settings.map(|&(k, v)| (k.into(), v.into())).collect(),
            disk: None,
            child: None,
            run: None,
        }
    }

    /// A server that has yet to [`begin`](Self::begin), whose data directory is this disk. What is on it goes with the
    /// server.
    #[must_use]
    pub fn stopped_on(disk: SmallDisk, settings: &[(&str, &str)]) -> Self {
        let mut herald = Self::stopped(settings);
        fs::create_dir(herald.mount_point()).unwrap();
        herald.disk = Some(disk);
        herald
    }

    /// A server that has yet to [`begin`](Self::begin), and has the same addresses at each start: free ones that no
    /// outgoing connection is given, as clients keep trying while it is down.
    #[must_use]
    pub fn stopped_on_own_ports(settings: &[(&str, &str)]) -> Self {
        let mut herald = Self::stopped(settings);
        let taken = free_ports(LISTENERS.len());
        for (name, port) in LISTENERS.into_iter().zip(taken) {
            let address = format!("127.0.0.1:{port}");
            herald.settings.push((name.into(), address));
        }
        herald
    }

    /// Starts the server on what is in its folder.
    pub async fn begin(&mut self) {
        let child = self.spawn();
        self.started(child).await;
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
    fn started_by(&self, mut starter: std::process::Command) -> Command {
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

    /// Starts the server with something else as standard error than a file, and answers it if it is a pipe.
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

    fn spawn(&self) -> Child {
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

    /// `herald ARGS... --data-dir` with this server's folder.
    #[must_use]
    pub fn cli(&self, args: &[&str]) -> Cli {
        let data_dir = self.data_dir();
        let data_dir: &OsStr = data_dir.as_ref();
        let mut all = args.to_vec();
        all.extend(["--data-dir", data_dir.to_str().unwrap()]);
        Cli::new(self.folder.path(), &all)
    }

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

    /// What the server wrote into `run.json` when it was ready.
    #[must_use]
    pub fn run(&self) -> &Run {
        self.run.as_ref().expect("the server runs")
    }

    fn read_run(&self) -> Option<Run> {
        let text = fs::read(self.data_dir().join("run.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// The folder that the server runs in; the data directory is inside.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data directory, as seen from here.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        let child = self.child.as_ref().and_then(Child::id);
        match (&self.disk, child) {
            (Some(_), Some(pid)) => disk::seen_by(pid, &self.mount_point()),
            _ => self.mount_point(),
        }
    }

    /// The data directory, as the server sees it.
    fn mount_point(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The local CA.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.data_dir().join("tls/ca.pem")
    }

    fn output(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the server has written to standard error since it was started last.
    #[must_use]
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.output("stderr")).unwrap()
    }

    /// Waits until the log has `text` so many times, as it is written a little later; all of it.
    pub async fn logged(&self, text: &str, times: usize) -> String {
        until("a line of the log", async || {
            let log = self.stderr();
            (log.matches(text).count() >= times).then_some(log)
        })
        .await
    }

    /// What the server has written to standard output since it was started last.
    #[must_use]
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.output("stdout")).unwrap()
    }

    /// Address of HTTPS and WSS.
    #[must_use]
    pub fn http_address(&self) -> &str {
        self.run().http.as_deref().unwrap()
    }

    /// Address of MQTT over TLS.
    #[must_use]
    pub fn tls_address(&self) -> &str {
        self.run().mqtt_tls.as_deref().unwrap()
    }

    /// Address of plain MQTT.
    #[must_use]
    pub fn tcp_address(&self) -> &str {
        self.run().mqtt_tcp.as_deref().unwrap()
    }

    /// A client that is signed in.
    pub async fn http(&self, username: &str) -> Http {
        Http::sign_in(self, username, &password(username)).await
    }
}

impl Drop for Herald {
    fn drop(&mut self) {
        if thread::panicking() {
            for name in ["stdout", "stderr"] {
                let text = fs::read_to_string(self.output(name)).unwrap_or_else(explain);
                eprintln!("--- the server's {name}:\n{text}");
            }
        }
    }
}

/// Sends the signal of this name.
fn kill(pid: u32, name: &str) {
    let pid = pid.to_string();
    // Bash has it built in.
    let status = std::process::Command::new("bash")
        .args(["-c", r#"kill -s "$0" "$1""#, name, &pid])
        .status();
    assert!(status.is_ok_and(|s| s.success()), "kill -s {name} {pid}");
}

/// Whether the process catches SIGTERM.
fn listens_for_term(pid: u32) -> bool {
    /// The bit of SIGTERM, 15.
    const TERM: u64 = 1 << 14;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mut caught = status.lines().filter_map(|l| l.strip_prefix("SigCgt:"));
    let caught = caught.next().map(|set| u64::from_str_radix(set.trim(), 16));
    caught.is_some_and(|set| set.is_ok_and(|set| set & TERM != 0))
}

fn explain(error: io::Error) -> String {
    error.to_string()
}
