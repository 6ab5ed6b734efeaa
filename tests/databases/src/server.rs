//! A server of a test's own.

use herald_test_servers::{PrivateServer, ServerKind};
use tokio::task::spawn_blocking;

use crate::{DatabaseKind, TestDatabase};

/// A server that a test may kill. Dropping it ends it and removes its files.
#[derive(Debug)]
pub struct TestServer {
    /// It is somewhere else only while something is done with it.
    server: Option<PrivateServer>,
}

impl TestServer {
    /// Starts one, in some seconds; `None` if this database was not chosen, which is printed.
    pub async fn start(kind: ServerKind) -> Option<Self> {
        if !DatabaseKind::from(kind).is_chosen() {
            return None;
        }
        let server = spawn_blocking(move || PrivateServer::start(kind));
        let server = Some(server.await.unwrap().unwrap());
        Some(Self { server })
    }

    fn server(&self) -> &PrivateServer {
        self.server.as_ref().unwrap()
    }

    async fn with(&mut self, run: fn(&mut PrivateServer)) {
        let mut server = self.server.take().unwrap();
        let done = spawn_blocking(move || {
            run(&mut server);
            server
        });
        self.server = Some(done.await.unwrap());
    }

    /// The URL of a superuser.
    #[must_use]
    pub fn url(&self) -> String {
        self.server().url()
    }

    /// Kills all its processes, as `kill -9` does.
    pub async fn kill(&mut self) {
        self.with(|server| server.kill().unwrap()).await;
    }

    /// Kills it if it runs, and starts it on the same port.
    pub async fn restart(&mut self) {
        self.with(|server| server.restart().unwrap()).await;
    }

    /// Starts PostgreSQL again as a standby, with all that it has and nobody to follow.
    pub async fn restart_as_standby(&mut self) {
        self.with(|server| server.restart_as_standby().unwrap())
            .await;
    }

    /// As [`TestDatabase::make`], on this server.
    pub async fn make(&self, hash: u64, migrate: impl AsyncFnOnce(&str)) -> TestDatabase {
        let kind = self.server().kind().into();
        TestDatabase::make_on(kind, &self.url(), hash, migrate).await
    }

    /// As [`TestDatabase::empty`], on this server.
    pub async fn empty(&self) -> TestDatabase {
        let kind = self.server().kind().into();
        TestDatabase::empty_on(kind, &self.url()).await
    }
}
