//! A connection to one of the two databases.

use std::time::Duration;

use sqlx::{AnyConnection, Connection as _, Row as _};
use tokio::time::{sleep, timeout};

use super::error::TransferError;
use super::mark;
use super::tables::{OTHERS, TABLES};
use crate::dialect::{self, Dialect};
use crate::location::Location;
use crate::server::Server;
use crate::statement::Statement;
use crate::{Refusal, StoreError, migrations};

/// How long one step may take: a page of rows, or one statement over a table.
const STEP: Duration = Duration::from_secs(10 * 60);

/// How long it takes at most until a server that has ended has no connection any more.
const GONE: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One of the two databases.
pub(super) struct Database {
    conn: AnyConnection,
    pub(super) dialect: Dialect,
    location: Location,
}

/// What a database is, as far as that can be seen without changing it.
pub(super) enum Tables {
    /// It has none.
    None,
    /// They are not those of Herald, or others are there, too: one that is not known.
    Foreign(Option<String>),
    /// Herald's, of this migration.
    Of(i64),
}

/// Finds out whether a server can be used, before anything is set there: between may be a pooler, which would give the settings
/// to others. `only_read`: it need not take writes. Which version made the tables is not looked at.
pub(super) async fn examine(server: &Server, only_read: bool) -> Result<(), StoreError> {
    match server.examine().await {
        Ok(_) | Err(StoreError::Newer { .. }) => Ok(()),
        Err(StoreError::Refused { refusal, .. }) if only_read && is_about_writes(&refusal) => {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn is_about_writes(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Standby
            | Refusal::ReadOnly
            | Refusal::ReadOnlyServer
            | Refusal::NoRights { .. }
            | Refusal::NotGranted { .. }
            | Refusal::Setting { .. }
    )
}

impl Database {
    /// Prepares a connection for long statements.
    pub(super) async fn new(
        location: &Location,
        mut conn: AnyConnection,
    ) -> Result<Self, TransferError> {
        let dialect = location.dialect();
        if let Some(settings) = dialect.transfer_settings() {
            let set = dialect::set_up(&mut conn, settings).await;
            set.map_err(|error| location.explain(error))?;
        }
        Ok(Self {
            conn,
            dialect,
            location: location.clone(),
        })
    }

    /// What it is called, without a password.
    pub(super) fn name(&self) -> String {
        self.location.name()
    }

    /// Does something with the connection, for a limited time.
    pub(super) async fn with<T>(
        &mut self,
        step: impl AsyncFnOnce(&mut AnyConnection, Dialect) -> Result<T, sqlx::Error>,
    ) -> Result<T, TransferError> {
        match timeout(STEP, step(&mut self.conn, self.dialect)).await {
            Ok(done) => done.map_err(|error| self.location.explain(error).into()),
            Err(_) => Err(TransferError::TimedOut {
                database: self.name(),
            }),
        }
    }

    /// Runs a text of this crate that has no parameters.
    pub(super) async fn execute(&mut self, text: &'static str) -> Result<(), TransferError> {
        self.with(async |conn, _| dialect::set_up(conn, text).await)
            .await
    }

    /// The number that a query returns.
    pub(super) async fn number(&mut self, statement: Statement) -> Result<i64, TransferError> {
        self.with(async |conn, dialect| {
            let row = statement.query(dialect)?.fetch_one(conn).await?;
            row.try_get(0)
        })
        .await
    }

    /// The text that a query returns, if there is one.
    pub(super) async fn text(
        &mut self,
        statement: Statement,
    ) -> Result<Option<String>, TransferError> {
        self.with(async |conn, dialect| {
            let row = statement.query(dialect)?.fetch_optional(conn).await?;
            row.map_or(Ok(None), |row| row.try_get(0))
        })
        .await
    }

    /// Which tables it has.
    pub(super) async fn tables(&mut self) -> Result<Tables, TransferError> {
        let names = self.dialect.tables();
        let names: Vec<String> = self
            .with(async |conn, dialect| {
                let names = Statement::new(names).query(dialect)?;
                let rows = names.fetch_all(conn).await?;
                rows.iter().map(|row| row.try_get(0)).collect()
            })
            .await?;
        if names.is_empty() {
            return Ok(Tables::None);
        }
        if !names.iter().any(|name| name == migrations::TABLE) {
            return Ok(Tables::Foreign(None));
        }
        let version = Statement::new(migrations::NEWEST);
        let version = self.number(version).await?;
        let known = TABLES.iter().map(|table| table.name).chain(OTHERS);
        let known: Vec<_> = known.collect();
        let is_known = |name: &String| known.contains(&name.as_str());
        match names.iter().find(|name| !is_known(name)) {
            Some(name) if version == migrations::current(self.dialect) => {
                Ok(Tables::Foreign(Some(name.clone())))
            }
            _ => Ok(Tables::Of(version)),
        }
    }

    /// What it is an unfinished copy of, if it is one.
    pub(super) async fn mark(&mut self) -> Result<Option<String>, TransferError> {
        self.with(async |conn, dialect| mark::read(conn, dialect).await)
            .await
    }

    /// Fails if a server has it open. One that ended just now may seem to have. The lock of a file is its server's to know.
    pub(super) async fn refuse_in_use(&mut self) -> Result<(), TransferError> {
        let Some(others) = self.dialect.other_servers() else {
            return Ok(());
        };
        let looking = async {
            while self.number(Statement::new(others)).await? > 0 {
                sleep(LOOK_AGAIN).await;
            }
            Ok(())
        };
        match timeout(GONE, looking).await {
            Ok(done) => done,
            Err(_) => Err(TransferError::InUse {
                database: self.name(),
            }),
        }
    }

    /// Ends the connection. That it could not be ended in peace changes nothing.
    pub(super) async fn close(self) {
        let _ = timeout(GONE, self.conn.close()).await;
    }
}
