//! A database server: its address, connections to it, and what its errors mean.

use std::io;
use std::time::Duration;

use sqlx::{AnyConnection, Connection as _};
use tokio::time::timeout;

use crate::dialect::{self, Dialect};
use crate::migrations::{self, Newer};
use crate::{DatabaseUrl, Refusal, ServerFacts, StoreError};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a goodbye may take.
const CLOSE: Duration = Duration::from_secs(5);

/// How old a connection that reads grows: what a name stands for may change, and which server writes; and what the server
/// keeps for it goes with it.
pub(crate) const LIFETIME: Duration = Duration::from_secs(2 * 60);

/// How long a server may take for a statement: longer than it gives itself.
const ANSWER: Duration = Duration::from_secs(15);

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

    /// Its address, with what all connections of ours have.
    pub(crate) fn connects_to(&self) -> &DatabaseUrl {
        &self.connects_to
    }

    /// What the server and the database are called, without a password.
    pub(crate) fn name(&self) -> String {
        self.url.server()
    }

    /// Whether both are one database, as far as their addresses tell.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.url.is_same_database(&other.url)
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> Result<AnyConnection, StoreError> {
        sqlx::any::install_default_drivers();
        self.within(CONNECT, AnyConnection::connect(self.connects_to.expose()))
            .await
    }

    /// Connects to what was there when Herald started, and prepares the connection by `settings`.
    pub(crate) async fn connect_with(
        &self,
        settings: &'static str,
    ) -> Result<AnyConnection, StoreError> {
        let connected = async {
            let mut conn = self.connect().await?;
            let set = dialect::set_up(&mut conn, settings).await;
            set.map_err(|error| self.explain(error))?;
            Ok(conn)
        };
        let connected = timeout(CONNECT, connected).await;
        match connected.unwrap_or_else(|_| Err(self.silent(CONNECT))) {
            // Its name was known then, and will be again.
            Err(StoreError::Refused {
                refusal: refusal @ Refusal::UnknownHost,
                ..
            }) => Err(self.unreachable(&refusal.to_string())),
            connected => connected,
        }
    }

    /// Waits for what the server is asked, as long as a statement may take.
    pub(crate) async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        self.within(ANSWER, asked).await
    }

    async fn within<T>(
        &self,
        limit: Duration,
        asked: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        match timeout(limit, asked).await {
            Ok(answered) => answered.map_err(|error| self.explain(error)),
            Err(_) => Err(self.silent(limit)),
        }
    }

    fn silent(&self, limit: Duration) -> StoreError {
        self.unreachable(&format!("no answer within {limit:?}"))
    }

    /// Finds out whether the server can be used.
    pub(crate) async fn examine(&self) -> Result<ServerFacts, StoreError> {
        let mut conn = self.connect().await?;
        let user = self.user();
        let judged = match self.dialect() {
            Dialect::MySql => {
                let found = self.answer(mysql::look(&mut conn)).await?;
                found.judge(&user)
            }
            Dialect::Postgres | Dialect::Sqlite => {
                let found = self.answer(postgres::look(&mut conn)).await?;
                found.judge(&user)
            }
        };
        let mut facts = judged.map_err(|refusal| self.refused(refusal))?;
        if self.dialect() == Dialect::Postgres {
            self.refuse_pooler(&mut conn).await?;
        }
        let newer = migrations::newer(&mut conn, self.dialect()).await;
        match newer.map_err(|error| self.explain(error))? {
            Some(Newer {
                changing: Some(version),
                ..
            }) => {
                let database = self.name();
                return Err(StoreError::Newer { database, version });
            }
            Some(Newer { first, .. }) => facts.warnings.push(format!(
                "a newer version of Herald has added to the database (migration {first}), which this one does not use: \
                 run the newer one when the upgrade is done"
            )),
            None => {}
        }
        // That it could not be ended in peace changes nothing.
        let _ = close(conn).await;
        Ok(facts)
    }

    /// Refuses what gives each transaction another connection.
    async fn refuse_pooler(&self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        let mut other = self.connect().await?;
        let pooled = postgres::is_pooled(conn, &mut other);
        if self.answer(pooled).await? {
            return Err(self.refused(Refusal::Pooler));
        }
        let _ = close(other).await;
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

/// A server that says nothing any more.
pub(crate) fn silence() -> StoreError {
    let reason = "it does not answer".into();
    StoreError::Unreachable { reason }
}

/// Whether a connection that read can be used again after this: after any other error, it may be in the middle of an answer.
pub(crate) fn is_whole_after(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::TooSlow | StoreError::Locked | StoreError::Conflict
    )
}

/// Says goodbye, for which the server has a limited time.
pub(crate) async fn close(conn: AnyConnection) -> Result<(), StoreError> {
    let closed = timeout(CLOSE, conn.close()).await;
    closed.map_or_else(|_| Err(silence()), |closed| Ok(closed?))
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

mod mysql;
mod postgres;

#[cfg(test)]
pub(crate) mod tests;
