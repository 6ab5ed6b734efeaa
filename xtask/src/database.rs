//! The databases that Herald is tested on, and their servers.

use std::{
    env,
    fmt::{self, Display},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use herald_test_servers::{CHOSEN, PrivateServer, ServerKind};

/// A database that Herald is tested on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Server(ServerKind),
}

impl Database {
    pub(crate) const ALL: [Self; 3] = [
        Self::Sqlite,
        Self::Server(ServerKind::Postgres),
        Self::Server(ServerKind::MariaDb),
    ];

    fn named(name: &str) -> Result<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|database| database.name() == name)
            .with_context(|| format!("{name:?} is none of the databases sqlite, postgres, mariadb"))
    }

    fn name(self) -> &'static str {
        self.server().map_or("sqlite", ServerKind::name)
    }

    pub(crate) fn server(self) -> Option<ServerKind> {
        match self {
            Self::Sqlite => None,
            Self::Server(kind) => Some(kind),
        }
    }
}

impl Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Those in a list with commas, each once, in the order of `ALL`.
pub(crate) fn listed(list: &str) -> Result<Vec<Database>> {
    let named: Vec<Database> = list
        .split(',')
        .map(Database::named)
        .collect::<Result<_>>()?;
    let mut databases = Database::ALL.to_vec();
    databases.retain(|database| named.contains(database));
    Ok(databases)
}

/// The databases that `args` choose, which are all without `--databases`, and the other arguments.
pub(crate) fn chosen(args: &[String]) -> Result<(Vec<Database>, Vec<String>)> {
    // What stands behind `--` is for the test programs.
    let own = args.iter().take_while(|arg| *arg != "--").count();
    let mut databases = Database::ALL.to_vec();
    let mut others = Vec::new();
    let mut args_left = args[..own].iter();
    while let Some(arg) = args_left.next() {
        if arg == "--databases" {
            databases = listed(args_left.next().context("--databases needs a list")?)?;
        } else if let Some(list) = arg.strip_prefix("--databases=") {
            databases = listed(list)?;
        } else {
            others.push(arg.clone());
        }
    }
    others.extend_from_slice(&args[own..]);
    Ok((databases, others))
}

/// Where files are in memory.
const MEMORY: &str = "/dev/shm";

/// What the servers may need there, in bytes.
const NEEDED: u64 = 4 << 30;

/// Where the files of servers are when it is the tests that count and not how long a commit takes: in memory, if there is enough
/// and `TMPDIR` does not say otherwise. Their commits are as durable there as a kill can show.
pub(crate) fn fast_folder() -> PathBuf {
    let is_enough = || {
        let found = rustix::fs::statvfs(MEMORY);
        found.is_ok_and(|found| found.f_bavail.saturating_mul(found.f_frsize) >= NEEDED)
    };
    if env::var_os("TMPDIR").is_none() && is_enough() {
        MEMORY.into()
    } else {
        env::temp_dir()
    }
}

/// Servers that run until this is dropped, or the process ends.
pub(crate) struct Servers {
    chosen: String,
    pub(crate) servers: Vec<PrivateServer>,
}

impl Servers {
    /// Starts those of `databases`, all at the same time, with their files in `folder`.
    pub(crate) fn start(databases: &[Database], folder: &Path) -> Result<Self> {
        let kinds = databases.iter().filter_map(|database| database.server());
        let starts: Vec<_> = kinds
            .map(|kind| {
                let folder = folder.to_owned();
                thread::spawn(move || PrivateServer::start_in(kind, &folder))
            })
            .collect();
        let started = starts.into_iter().map(|start| match start.join() {
            Ok(started) => started,
            Err(_) => Err(anyhow!("the start of a server panicked")),
        });
        // All are waited for, also if one fails.
        let started: Vec<Result<PrivateServer>> = started.collect();
        let names: Vec<&str> = databases.iter().map(|database| database.name()).collect();
        Ok(Self {
            chosen: names.join(","),
            servers: started.into_iter().collect::<Result<_>>()?,
        })
    }

    /// Tells `command` which databases it tests, and where they are.
    pub(crate) fn hand_to(&self, command: &mut Command) {
        command.env(CHOSEN, &self.chosen);
        for kind in ServerKind::ALL {
            command.env_remove(kind.variable());
        }
        for server in &self.servers {
            command.env(server.kind().variable(), server.url());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn all_databases_are_tested_unless_some_are_chosen() {
        let (databases, others) = chosen(&arguments("-p x -- --databases y")).unwrap();
        assert_eq!(databases, Database::ALL);
        assert_eq!(others, ["-p", "x", "--", "--databases", "y"]);
        for args in [
            "-p --databases mariadb,sqlite x",
            "-p --databases=sqlite,mariadb x",
        ] {
            let (databases, others) = chosen(&arguments(args)).unwrap();
            assert_eq!(databases, [Database::ALL[0], Database::ALL[2]]);
            assert_eq!(others, ["-p", "x"]);
        }
    }

    #[test]
    fn an_unknown_database_is_an_error() {
        for args in ["--databases oracle", "--databases sqlite,", "--databases"] {
            assert!(chosen(&arguments(args)).is_err(), "{args}");
        }
    }
}
