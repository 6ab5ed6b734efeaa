//! A database server: its address, connections to it, and what its errors mean.

use std::io;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, Connection as _};
use tokio::time::timeout;

use crate::dialect::{self, Dialect, mysql, postgres};
use crate::{DatabaseUrl, Refusal, ServerFacts, StoreError};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection that was idle for so long is asked for a sign of life before it is used.
const IDLE: Duration = Duration::from_secs(1);

/// How old a connection of a pool grows: what the server keeps for it goes with it.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// A database on a server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    url: DatabaseUrl,
    /// The same, with what all connections of ours have.
    connects_to: DatabaseUrl,
}

impl Server {
    /// Checks the address.
    pub(crate) fn parse(url: &DatabaseUrl) -> Result<Self, StoreError> {
        Ok(Self {
            url: url.clone(),
            connects_to: url.of_server()?,
        })
    }

    /// Which database it is.
    pub(crate) fn dialect(&self) -> Dialect {
        // No other is parsed.
        self.url.dialect().unwrap_or(Dialect::Postgres)
    }

    /// What the server and the database are called, without a password.
    pub(crate) fn name(&self) -> String {
        self.url.server()
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> Result<AnyConnection, StoreError> {
        sqlx::any::install_default_drivers();
        let connecting = AnyConnection::connect(self.connects_to.expose());
        match timeout(CONNECT, connecting).await {
            Ok(connected) => connected.map_err(|error| self.explain(error)),
            Err(_) => Err(self.unreachable(&format!("no answer within {CONNECT:?}"))),
        }
    }

    /// Connects, and prepares the connection by `settings`.
    pub(crate) async fn connect_with(
        &self,
        settings: &'static str,
    ) -> Result<AnyConnection, StoreError> {
        let mut conn = self.connect().await?;
        let set = dialect::set_up(&mut conn, settings).await;
        set.map_err(|error| self.explain(error))?;
        Ok(conn)
    }

    /// Makes a pool of `count` connections, each with `settings`. A caller waits for one for `wait` at most.
    pub(crate) async fn pool(
        &self,
        count: u32,
        wait: Duration,
        settings: &'static str,
    ) -> Result<AnyPool, StoreError> {
        sqlx::any::install_default_drivers();
        AnyPoolOptions::new()
            .max_connections(count.max(1))
            .acquire_timeout(wait)
            .idle_timeout(None)
            .max_lifetime(LIFETIME)
            .test_before_acquire(false)
            .before_acquire(|conn, meta| {
                Box::pin(async move {
                    if meta.idle_for >= IDLE {
                        conn.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |conn, _| Box::pin(dialect::set_up(conn, settings)))
            .connect(self.connects_to.expose())
            .await
            .map_err(|error| self.explain(error))
    }

    /// Finds out whether the server can be used.
    pub(crate) async fn examine(&self) -> Result<ServerFacts, StoreError> {
        let mut conn = self.connect().await?;
        let user = self.user();
        let judged = match self.dialect() {
            Dialect::MySql => mysql::look(&mut conn).await.map(|it| it.judge(&user)),
            Dialect::Postgres | Dialect::Sqlite => {
                let found = postgres::look(&mut conn).await;
                found.map(|it| it.judge(&user))
            }
        };
        let judged = judged.map_err(|error| self.explain(error))?;
        let facts = judged.map_err(|refusal| self.refused(refusal))?;
        if self.dialect() == Dialect::Postgres {
            self.refuse_pooler(&mut conn).await?;
        }
        // That it could not be ended in peace changes nothing.
        let _ = conn.close().await;
        Ok(facts)
    }

    /// Refuses what gives each transaction another connection.
    async fn refuse_pooler(&self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        let mut other = self.connect().await?;
        let pooled = postgres::is_pooled(conn, &mut other).await;
        if pooled.map_err(|error| self.explain(error))? {
            return Err(self.refused(Refusal::Pooler));
        }
        let _ = other.close().await;
        Ok(())
    }

    /// What `error` means to who connects.
    pub(crate) fn explain(&self, error: sqlx::Error) -> StoreError {
        let user = self.user();
        let refusal = postgres::refusal(&error, &user).or_else(|| mysql::refusal(&error, &user));
        if let Some(refusal) = refusal {
            return self.refused(refusal);
        }
        match &error {
            sqlx::Error::Io(error) if is_unknown_host(error) => self.refused(Refusal::UnknownHost),
            // What rustls finds wrong comes as this.
            sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.refused(Refusal::Tls {
                    reason: error.to_string(),
                })
            }
            sqlx::Error::Io(error) => self.unreachable(&error.to_string()),
            sqlx::Error::Tls(error) => self.refused(tls(&error.to_string())),
            _ => match error.into() {
                StoreError::Unreachable { reason } => self.unreachable(&reason),
                error => error,
            },
        }
    }

    fn refused(&self, refusal: Refusal) -> StoreError {
        StoreError::Refused {
            server: self.name(),
            refusal,
        }
    }

    fn unreachable(&self, reason: &str) -> StoreError {
        StoreError::Unreachable {
            reason: format!("{}: {reason}", self.name()),
        }
    }

    fn user(&self) -> String {
        self.url.user()
    }
}

/// Connects to the database server at `url` and finds out whether it can be used. Changes nothing there.
///
/// # Errors
///
/// A [`StoreError`] that says why not.
pub async fn examine_server(url: &DatabaseUrl) -> Result<ServerFacts, StoreError> {
    Server::parse(url)?.examine().await
}

fn tls(reason: &str) -> Refusal {
    if reason.contains("does not support TLS") {
        return Refusal::NoTls;
    }
    Refusal::Tls {
        reason: reason.to_owned(),
    }
}

/// The system has no code for this.
fn is_unknown_host(error: &io::Error) -> bool {
    error.to_string().contains("failed to lookup address")
}

#[cfg(test)]
mod mysql_tests;

#[cfg(test)]
mod tests;
