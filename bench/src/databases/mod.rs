//! The databases that are measured side by side: a file, and servers.

mod processes;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use herald_store::{Store, StoreOptions};
use herald_test_databases::{DatabaseKind, TestDatabase};
use herald_test_servers::{PrivateServer, ServerKind};
use tokio::task::spawn_blocking;

use processes::Processes;

/// What is measured beside SQLite.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Servers that are started for this, on the same disk as SQLite's files: postgres, mariadb. They need not be chosen for
    /// --database.
    #[arg(long, value_delimiter = ',')]
    databases: Vec<ServerKind>,
    /// The URL of a server, with a user who may create databases and with a database that is there. What is measured is in
    /// databases of its own, which are removed.
    #[arg(long)]
    database: Vec<String>,
}

/// A database that is measured.
#[derive(Clone)]
pub(crate) struct Database {
    /// As tables have it.
    pub(crate) name: &'static str,
    /// `None` for a file.
    server: Option<Arc<Server>>,
}

struct Server {
    kind: DatabaseKind,
    url: String,
    /// None if they are not on this machine, or another user's.
    processes: Option<Processes>,
    /// It ends with this.
    _private: Option<PrivateServer>,
}

impl Options {
    /// SQLite, and those that were chosen, which are started with their files in `folder`.
    pub(crate) async fn start(&self, folder: &Path) -> anyhow::Result<Vec<Database>> {
        let mut databases = vec![Database::SQLITE];
        for &kind in &self.databases {
            let folder = folder.to_owned();
            let started = spawn_blocking(move || PrivateServer::start_in(kind, &folder));
            let private = started.await??;
            databases.push(Database::on(private.url(), Some(private))?);
        }
        for url in &self.database {
            databases.push(Database::on(url.clone(), None)?);
        }
        Ok(databases)
    }
}

impl Database {
    /// A file in a folder of the caller's.
    pub(crate) const SQLITE: Self = Self {
        name: "sqlite",
        server: None,
    };

    /// Whether it is on a server, which several nodes may share.
    pub(crate) fn is_on_server(&self) -> bool {
        self.server.is_some()
    }

    fn on(url: String, private: Option<PrivateServer>) -> anyhow::Result<Self> {
        let (kind, name) = match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => (DatabaseKind::Postgres, "postgres"),
            Some("mysql" | "mariadb") => (DatabaseKind::MySql, "mysql"),
            _ => bail!("--database is postgres://... or mysql://..."),
        };
        let processes = Processes::of(&url)?;
        let server = Server {
            kind,
            url,
            processes,
            _private: private,
        };
        Ok(Self {
            name,
            server: Some(Arc::new(server)),
        })
    }

    /// An empty one; a file is in this folder.
    pub(crate) async fn make(&self, folder: &Path) -> Made {
        let on_server = match &self.server {
            Some(server) => Some(TestDatabase::empty_on(server.kind, &server.url).await),
            None => None,
        };
        let options = match &on_server {
            Some(database) => StoreOptions::at(database.url().into()),
            None => StoreOptions::sqlite(&folder.join("herald.db")),
        };
        // A user may have any number of messages.
        let options = StoreOptions {
            waiting_messages: u32::MAX,
            stored_bytes: 0,
            ..options
        };
        Made { options, on_server }
    }

    /// Processor time that the server's processes have taken so far, if they are seen.
    pub(crate) fn cpu(&self) -> anyhow::Result<Option<Duration>> {
        let processes = self.server.as_ref().and_then(|s| s.processes.as_ref());
        processes.map(Processes::cpu).transpose()
    }

    /// The microseconds of processor time for each of `count`, since it was `before`.
    pub(crate) fn cpu_each(
        &self,
        before: Option<Duration>,
        count: u64,
    ) -> anyhow::Result<Option<f64>> {
        let now = self.cpu()?;
        let taken = before
            .zip(now)
            .map(|(before, now)| now.saturating_sub(before));
        Ok(taken.map(|taken| taken.as_secs_f64() * 1e6 / count as f64))
    }
}

/// A database of one measurement, which goes with this.
pub(crate) struct Made {
    options: StoreOptions,
    on_server: Option<TestDatabase>,
}

impl Made {
    /// Opens it, beside any server that has it open.
    pub(crate) async fn open(&self) -> anyhow::Result<Store> {
        let opened = Store::open(self.options.clone()).await;
        opened.context("the database does not open")
    }

    /// Its URL, if it is on a server.
    pub(crate) fn url(&self) -> Option<&str> {
        self.on_server.as_ref().map(TestDatabase::url)
    }
}
