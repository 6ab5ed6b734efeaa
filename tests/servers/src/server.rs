//! A server that belongs to whoever started it.

use std::{
    env,
    fmt::{self, Debug},
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    ServerKind, guardian::Guardian, mariadb, port, postgres, processes, secret,
    server_home::ServerHome,
};

/// How long a start or an end may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Between two questions whether the server is ready.
const PAUSE: Duration = Duration::from_millis(10);

/// How often a start is tried on another port if somebody took the one that was free.
const PORTS: usize = 5;

/// How many of the last lines of its log say why a server did not start.
const LINES: usize = 20;

/// What both servers write if their port is not free.
const TAKEN: &str = "Address already in use";

/// A server with nothing in it but what it brings. Dropping it ends it and removes its files.
pub struct PrivateServer {
    kind: ServerKind,
    port: u16,
    password: String,
    home: ServerHome,
    process: Option<Child>,
    /// Ends the server, also if this process is killed. It is there until the drop.
    guardian: Option<Guardian>,
}

impl PrivateServer {
    /// Starts one, and returns once it takes statements, which lasts some seconds.
    ///
    /// # Errors
    ///
    /// If its programs are missing, or what the server says when it does not start.
    pub fn start(kind: ServerKind) -> Result<Self> {
        Self::start_in(kind, &env::temp_dir())
    }

    /// As [`start`](Self::start), with its files in this folder.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_in(kind: ServerKind, folder: &Path) -> Result<Self> {
        let (account, end) = match kind {
            ServerKind::Postgres => (postgres::account()?, postgres::END),
            ServerKind::MariaDb => (mariadb::account()?, mariadb::END),
        };
        let guardian = Guardian::start(folder, kind.name(), end)?;
        let folder = guardian.folder().to_owned();
        account.own(&folder)?;
        let mut server = Self {
            kind,
            port: 0,
            password: secret::password()?,
            home: ServerHome { folder, account },
            process: None,
            guardian: Some(guardian),
        };
        match kind {
            ServerKind::Postgres => postgres::make(&server.home, &server.password)?,
            ServerKind::MariaDb => mariadb::make(&server.home, &server.password)?,
        }
        let mut tries = 1;
        loop {
            server.port = port::free()?;
            match server.restart() {
                Err(error) if tries < PORTS && error.to_string().contains(TAKEN) => tries += 1,
                started => return started.map(|()| server),
            }
        }
    }

    /// Which it is.
    #[must_use]
    pub fn kind(&self) -> ServerKind {
        self.kind
    }

    /// The URL of its superuser, with a database that is always there.
    #[must_use]
    pub fn url(&self) -> String {
        let (scheme, user, database) = match self.kind {
            ServerKind::Postgres => ("postgres", postgres::SUPERUSER, "postgres"),
            ServerKind::MariaDb => ("mysql", mariadb::SUPERUSER, "mysql"),
        };
        let Self { port, password, .. } = self;
        format!("{scheme}://{user}:{password}@127.0.0.1:{port}/{database}")
    }

    /// Kills all its processes, as `kill -9` does.
    ///
    /// # Errors
    ///
    /// If they do not end.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            // First the one that starts others.
            process.kill()?;
            process.wait()?;
        }
        processes::kill_all(&self.home.data(), LIMIT)
    }

    /// Starts it after it was killed, on the same port, and returns once it takes statements again.
    ///
    /// # Errors
    ///
    /// What the server says when it does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let mut command = match self.kind {
            ServerKind::Postgres => postgres::command(&self.home, self.port)?,
            ServerKind::MariaDb => mariadb::command(&self.home, self.port)?,
        };
        let log = File::create(self.home.log())?;
        let process = command
            .current_dir(self.home.data())
            // Not in the group that Ctrl-C ends.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", self.kind))?;
        self.process = Some(process);
        self.wait_until_ready()
    }

    /// Starts PostgreSQL again as a standby, with all that it has and nobody to follow.
    ///
    /// # Errors
    ///
    /// If it is another database, or as [`restart`](Self::restart).
    pub fn restart_as_standby(&mut self) -> Result<()> {
        ensure!(self.kind == ServerKind::Postgres, "{} has none", self.kind);
        postgres::write_for_standbys(&self.home)?;
        self.restart()?;
        self.kill()?;
        postgres::make_standby(&self.home)?;
        self.restart()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let begin = Instant::now();
        while let Some(process) = &mut self.process {
            let pid = process.id();
            if let Some(status) = process.try_wait()? {
                bail!("{} ended ({status}): {}", self.kind, self.last_words());
            }
            let left = LIMIT.saturating_sub(begin.elapsed());
            if left.is_zero() {
                bail!("{} takes no statements: {}", self.kind, self.last_words());
            }
            let data = self.home.data();
            let is_ready = match self.kind {
                ServerKind::Postgres => postgres::is_ready(&data, pid),
                ServerKind::MariaDb => mariadb::is_ready(&data, pid, self.port, left),
            };
            if is_ready {
                break;
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let log = fs::read(self.home.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Debug for PrivateServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateServer")
            .field("kind", &self.kind)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        drop(self.guardian.take());
        if let Some(mut process) = self.process.take() {
            // The guardian does not look at a process that has ended and that nobody has waited for.
            let _ = process.wait();
        }
    }
}
