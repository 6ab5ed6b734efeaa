//! A database of a test's own.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{runtime, time::timeout};

use crate::{DatabaseKind, mysql, names, postgres, templates};

/// How long the drop of a database may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A database that nobody else uses. Dropping it removes the database, whoever is still connected.
#[derive(Debug)]
pub struct TestDatabase {
    kind: DatabaseKind,
    url: String,
    made: Made,
}

/// What is removed in the end.
#[derive(Debug)]
enum Made {
    File(#[expect(dead_code, reason = "it is there for its drop")] TempDir),
    On { server: String, name: String },
}

impl TestDatabase {
    /// A database as `migrate` makes one when it is given the URL of an empty one; `None` if this database was not chosen, which
    /// is printed.
    ///
    /// `migrate` runs once for all tests with the same `hash`, also in other processes; on SQLite once a test. It has to close
    /// its connections.
    pub async fn make(
        kind: DatabaseKind,
        hash: u64,
        migrate: impl AsyncFnOnce(&str),
    ) -> Option<Self> {
        if !kind.is_chosen() {
            return None;
        }
        if let Some(server) = kind.server_url() {
            return Some(Self::make_on(kind, &server, hash, migrate).await);
        }
        let database = Self::file(kind);
        migrate(&database.url).await;
        Some(database)
    }

    /// An empty database; `None` if it was not chosen, which is printed.
    pub async fn empty(kind: DatabaseKind) -> Option<Self> {
        if !kind.is_chosen() {
            return None;
        }
        match kind.server_url() {
            Some(server) => Some(Self::empty_on(kind, &server).await),
            None => Some(Self::file(kind)),
        }
    }

    /// The file is not there yet.
    fn file(kind: DatabaseKind) -> Self {
        let folder = TempDir::with_prefix("herald-").unwrap();
        let url = format!("sqlite://{}/herald.db", folder.path().display());
        let made = Made::File(folder);
        Self { kind, url, made }
    }

    /// As [`make`](Self::make), on this server.
    pub(crate) async fn make_on(
        kind: DatabaseKind,
        server: &str,
        hash: u64,
        migrate: impl AsyncFnOnce(&str),
    ) -> Self {
        let template = templates::get(kind, server, hash, migrate).await;
        let database = Self::named(kind, server);
        let name = database.name();
        match kind {
            DatabaseKind::Postgres => postgres::copy(server, &template, name).await,
            _ => mysql::replay(server, &template, name).await,
        }
        database
    }

    /// As [`empty`](Self::empty), on the server at this URL, whose user may create databases.
    pub async fn empty_on(kind: DatabaseKind, server: &str) -> Self {
        let database = Self::named(kind, server);
        match kind {
            DatabaseKind::Postgres => postgres::create(server, database.name()).await,
            _ => mysql::create(server, database.name()).await,
        }
        database
    }

    fn named(kind: DatabaseKind, server: &str) -> Self {
        let name = names::test();
        Self {
            kind,
            url: names::with_database(server, &name),
            made: Made::On {
                server: server.to_owned(),
                name,
            },
        }
    }

    fn name(&self) -> &str {
        match &self.made {
            Made::File(_) => "",
            Made::On { name, .. } => name,
        }
    }

    /// Which database it is on.
    #[must_use]
    pub fn kind(&self) -> DatabaseKind {
        self.kind
    }

    /// Its URL, with a user who may do everything.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Made::On { server, name } = &self.made else {
            return;
        };
        let kind = self.kind;
        // The test's own runtime may be one that cannot wait here.
        let dropped = thread::scope(|scope| {
            let drop =
                scope.spawn(|| catch_unwind(AssertUnwindSafe(|| drop_now(kind, server, name))));
            drop.join().is_ok_and(|dropped| dropped.is_ok())
        });
        if !dropped {
            // The server may be one that the test killed.
            eprintln!("the database {name} is left on its server");
        }
    }
}

fn drop_now(kind: DatabaseKind, server: &str, name: &str) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let dropped = async {
        match kind {
            DatabaseKind::Postgres => postgres::drop(server, name).await,
            _ => mysql::drop(server, name).await,
        }
    };
    let dropped = runtime
        .unwrap()
        .block_on(async { timeout(LIMIT, dropped).await });
    dropped.unwrap().unwrap();
}
