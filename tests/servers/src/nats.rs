//! NATS: a server that keeps nothing.

use std::{
    env,
    fs::{self, File},
    net::TcpStream,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{guardian::Guardian, port, programs, secret};

/// How long a start may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Between two questions whether the server is ready.
const PAUSE: Duration = Duration::from_millis(10);

/// Where Debian has it.
const FOLDER: &str = "/usr/sbin";

/// A server with a user and a password. Dropping it ends it.
pub struct NatsServer {
    port: u16,
    password: String,
    /// The certificate and its key, if it takes connections with TLS only.
    tls: Option<(PathBuf, PathBuf)>,
    process: Option<Child>,
    /// Ends the server, also if this process is killed.
    guardian: Guardian,
}

impl NatsServer {
    /// Starts one, and returns once it can be connected to.
    ///
    /// # Errors
    ///
    /// If the program is missing, or what the server says when it does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(None)
    }

    /// The same with TLS, and with this certificate and its key.
    ///
    /// # Errors
    ///
    /// As of [`start`](Self::start).
    pub fn start_with_tls(certificate: &Path, key: &Path) -> Result<Self> {
        Self::start_with(Some((certificate.to_owned(), key.to_owned())))
    }

    fn start_with(tls: Option<(PathBuf, PathBuf)>) -> Result<Self> {
        let mut server = Self {
            port: port::free()?,
            password: secret::password()?,
            tls,
            process: None,
            guardian: Guardian::start(&env::temp_dir(), "nats", "KILL")?,
        };
        server.restart()?;
        Ok(server)
    }

    /// Its URL, with user and password.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "tls" } else { "nats" };
        let (password, port) = (&self.password, self.port);
        format!("{scheme}://herald:{password}@127.0.0.1:{port}")
    }

    /// That of its user.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Kills it, as `kill -9` does.
    ///
    /// # Errors
    ///
    /// If that is not possible.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Starts it after it was killed, on the same port.
    ///
    /// # Errors
    ///
    /// What the server says when it does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let program = programs::find("nats-server", &[FOLDER.into()])
            .context("nats-server is missing: cargo xtask setup installs it")?;
        let folder = self.guardian.folder();
        let path = folder.join("log");
        let log = File::create(&path)?;
        let mut command = Command::new(program);
        if let Some((certificate, key)) = &self.tls {
            command.arg("--tls").arg("--tlscert").arg(certificate);
            command.arg("--tlskey").arg(key);
        }
        let process = command
            .args(["--addr", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--user", "herald", "--pass", &self.password])
            .current_dir(folder)
            // Not in the group that Ctrl-C ends.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot run nats-server")?;
        let process = self.process.insert(process);
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if process.try_wait()?.is_some() || begin.elapsed() > LIMIT {
                bail!("nats-server: {}", fs::read_to_string(&path)?);
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // The guardian tells of what does not end.
        let _ = self.kill();
    }
}
