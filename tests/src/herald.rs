//! A running server with a folder of its own.

mod accounts;
mod begin;
mod end;
mod first_process;
mod front;
pub(crate) mod several;

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use herald_test_databases::TestDatabase;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::Child;

use front::{Front, nodes};

use crate::{
    cli::Cli,
    database::{self, database},
    disk::{self, SmallDisk},
    names::Names,
    ports::free_ports,
    wait::until,
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

/// The settings that say where the server listens.
const LISTENERS: [&str; 3] = [
    "HERALD_HTTP__LISTEN",
    "HERALD_MQTT__LISTEN_TLS",
    "HERALD_MQTT__LISTEN_TCP",
];

/// How long a claim holds on a database server, where a start cannot know that whoever made it is gone: shorter than a test
/// waits for anything.
const LEASE_MS: &str = "5000";

/// A server on free ports of loopback. Dropping it kills it.
pub struct Herald {
    folder: Arc<TempDir>,
    settings: Vec<(String, String)>,
    disk: Option<SmallDisk>,
    child: Option<Child>,
    /// Unless it is a file in the folder. It goes after the server.
    database: Option<Arc<TestDatabase>>,
    run: Option<Run>,
    names: Names,
    /// How many servers this is.
    nodes: usize,
    others: Vec<Herald>,
    front: Option<Arc<Front>>,
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

    /// A server that has yet to [`begin`](Self::begin).
    #[must_use]
    pub fn stopped(settings: &[(&str, &str)]) -> Self {
        let mut own = vec![];
        let database = database().map(Arc::new);
        if database.is_some() {
            own.push(("HERALD_WORKER__LEASE_MS", LEASE_MS));
        }
        own.extend(settings);
        let nodes = database.as_ref().map_or(1, |_| nodes());
        let mut herald = Self::stopped_with(database, &own);
        herald.nodes = nodes;
        herald
    }

    /// A server that has yet to [`begin`](Self::begin), on a database that it may share with others.
    #[must_use]
    pub fn stopped_on_database(database: &Arc<TestDatabase>, settings: &[(&str, &str)]) -> Self {
        Self::stopped_with(Some(database.clone()), settings)
    }

    /// A server that has yet to [`begin`](Self::begin), whose database is a file, whatever was chosen for all.
    #[must_use]
    pub fn stopped_on_file(settings: &[(&str, &str)]) -> Self {
        Self::stopped_with(None, settings)
    }

    fn stopped_with(database: Option<Arc<TestDatabase>>, settings: &[(&str, &str)]) -> Self {
        let mut own = LISTENERS.map(|name| (name, "127.0.0.1:0")).to_vec();
        if let Some(database) = &database {
            own.push((database::URL, database.url()));
            // A stop is not for the others to take its clients, but in the tests of that.
            own.push(("HERALD_CLUSTER__DRAIN_S", "0"));
        }
        let settings = own.iter().chain(settings);
        let settings = settings.map(|&(k, v)| (k.into(), v.into())).collect();
        Self {
            folder: Arc::new(TempDir::with_prefix("herald-").unwrap()),
            settings,
            disk: None,
            child: None,
            database,
            run: None,
            names: Names::default(),
            nodes: 1,
            others: vec![],
            front: None,
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

    /// The part of this server that the test with this number has. Dropping it does not end the server.
    pub(crate) fn for_guest(&self, number: u32) -> Self {
        Self {
            folder: Arc::clone(&self.folder),
            settings: vec![],
            disk: None,
            child: None,
            database: self.database.clone(),
            run: self.run.clone(),
            names: Names::numbered(number),
            nodes: 1,
            others: vec![],
            front: self.front.clone(),
        }
    }

    pub(crate) fn names(&self) -> Names {
        self.names
    }

    /// The name of the account that the test calls `user`. Clients are given what the test calls it, and go by this.
    #[must_use]
    pub fn name(&self, user: &str) -> String {
        self.names.name(user)
    }

    /// The topic of the notifications of the account that the test calls `user`.
    #[must_use]
    pub fn inbox(&self, user: &str) -> String {
        self.names.own(user, "notifications")
    }

    /// The topic of that account's messages.
    #[must_use]
    pub fn messages(&self, user: &str) -> String {
        self.names.own(user, "messages")
    }

    /// A topic, or a filter, that only this test uses: everyone may subscribe to it, and administrators may publish.
    #[must_use]
    pub fn topic(&self, name: &str) -> String {
        self.names.topic(name)
    }

    /// `herald ARGS... --data-dir` with this server's folder, and its database.
    #[must_use]
    pub fn cli(&self, args: &[&str]) -> Cli {
        let data_dir = self.data_dir();
        let data_dir: &OsStr = data_dir.as_ref();
        let mut all = args.to_vec();
        all.extend(["--data-dir", data_dir.to_str().unwrap()]);
        let cli = Cli::new(self.folder.path(), &all);
        match &self.database {
            Some(database) => cli.env(database::URL, database.url()),
            None => cli,
        }
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

    /// Whether each connection may come to another server.
    pub(crate) fn is_several(&self) -> bool {
        self.front.is_some()
    }

    /// Address of HTTPS and WSS.
    #[must_use]
    pub fn http_address(&self) -> &str {
        match &self.front {
            Some(front) => front.http.address(),
            None => self.run().http.as_deref().unwrap(),
        }
    }

    /// Address of MQTT over TLS.
    #[must_use]
    pub fn tls_address(&self) -> &str {
        match &self.front {
            Some(front) => front.tls.address(),
            None => self.run().mqtt_tls.as_deref().unwrap(),
        }
    }

    /// Address of plain MQTT.
    #[must_use]
    pub fn tcp_address(&self) -> &str {
        match &self.front {
            Some(front) => front.tcp.address(),
            None => self.run().mqtt_tcp.as_deref().unwrap(),
        }
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

fn explain(error: io::Error) -> String {
    error.to_string()
}
