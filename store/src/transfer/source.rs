//! The database that is copied, as it is at one moment. It is only read.

use super::database::{Database, Tables, examine};
use super::error::TransferError;
use super::tables::TABLES;
use crate::dialect::Dialect;
use crate::location::Location;
use crate::statement::Statement;
use crate::{StoreError, bulk, dialect, epoch, migrations};

/// The database that is copied.
pub(super) struct Source {
    pub(super) database: Database,
    /// How it is at that moment.
    pub(super) found: Found,
    /// What changes with each write: see [`Dialect::writes`].
    writes: Option<String>,
}

/// What shows whether a database has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// How many rows each table has, in the order of the list.
    pub(super) rows: Vec<u64>,
    pub(super) epoch: String,
    /// How often inboxes have changed.
    pub(super) inbox_changes: i64,
    /// The newest entry of the audit: most changes make one.
    audit: Option<String>,
}

impl Source {
    /// Opens it, checks that it can be copied, and keeps it as it is now for this connection.
    pub(super) async fn open(location: &Location) -> Result<Self, TransferError> {
        let mut conn = match location {
            Location::File(file) => {
                if !file.path().is_file() {
                    let file = file.path().display().to_string();
                    return Err(TransferError::Missing { file });
                }
                file.check_log().await?;
                file.connect_read_only().await?
            }
            Location::Server(server) => {
                examine(server, true).await?;
                server.connect().await?
            }
        };
        if let Location::File(file) = location {
            let damage = dialect::find_damage(&mut conn).await;
            if let Some(reason) = damage.map_err(|error| file.explain(error))? {
                let path = file.path().to_owned();
                return Err(StoreError::Corrupt { path, reason }.into());
            }
        }
        let mut database = Database::new(location, conn).await?;
        check(&mut database).await?;
        database.refuse_in_use().await?;
        database.execute(database.dialect.begin_snapshot()).await?;
        let found = Found::look(&mut database).await?;
        let writes = writes(&mut database).await?;
        Ok(Self {
            database,
            found,
            writes,
        })
    }

    /// Fails if it has been written to since it was opened.
    pub(super) async fn refuse_changes(&mut self) -> Result<(), TransferError> {
        self.database.execute("ROLLBACK").await?;
        let now = Found::look(&mut self.database).await?;
        let is_written = self.writes != writes(&mut self.database).await?;
        let written = || is_written.then(|| "something was written to it".into());
        if let Some(what) = self.found.first_difference(&now).or_else(written) {
            return Err(TransferError::Changed {
                database: self.database.name(),
                what,
            });
        }
        // MariaDB and MySQL do not say whose a connection is: it may be a backup's, and has written nothing.
        match self.database.dialect {
            Dialect::MySql => Ok(()),
            Dialect::Sqlite | Dialect::Postgres => self.database.refuse_in_use().await,
        }
    }
}

impl Found {
    /// Looks at a database that has all tables.
    pub(super) async fn look(database: &mut Database) -> Result<Self, TransferError> {
        let mut rows = vec![];
        for table in &TABLES {
            let only = table.only.map(|only| format!(" WHERE {only}"));
            let only = only.unwrap_or_default();
            let text = format!("SELECT COUNT(*) FROM {}{only}", table.name);
            let count = Statement::new(bulk::statement(text)).once();
            let count = database.number(count).await?;
            rows.push(u64::try_from(count).unwrap_or_default());
        }
        let newest = Statement::new("SELECT id FROM audit ORDER BY id DESC LIMIT 1");
        let (epoch, inbox_changes) = database
            .with(async |conn, _| epoch::read_progress(conn).await)
            .await?;
        Ok(Self {
            rows,
            epoch,
            inbox_changes,
            audit: database.text(newest).await?,
        })
    }

    /// What is not the same in `other`.
    pub(super) fn first_difference(&self, other: &Self) -> Option<String> {
        for (table, (one, other)) in TABLES.iter().zip(self.rows.iter().zip(&other.rows)) {
            if one != other {
                return Some(format!("{} has {one} rows, and {other}", table.name));
            }
        }
        if (&self.epoch, self.inbox_changes) != (&other.epoch, other.inbox_changes) {
            return Some("how far the inboxes have come".into());
        }
        (self.audit != other.audit).then(|| "the audit".into())
    }
}

async fn writes(database: &mut Database) -> Result<Option<String>, TransferError> {
    let writes = Statement::new(database.dialect.writes());
    database.text(writes).await
}

/// Whether the database is one of this version.
async fn check(database: &mut Database) -> Result<(), TransferError> {
    let current = migrations::current(database.dialect);
    let found = match database.tables().await? {
        Tables::None | Tables::Foreign(None) => {
            return Err(TransferError::NotHeralds {
                database: database.name(),
            });
        }
        // Whatever else there is stays where it is.
        Tables::Foreign(Some(_)) => current,
        Tables::Of(found) => found,
    };
    let name = database.name();
    if found != current {
        return Err(match found < current {
            true => TransferError::Older {
                database: name,
                found,
                current,
            },
            false => TransferError::Newer {
                database: name,
                found,
                current,
            },
        });
    }
    match database.mark().await? {
        None => Ok(()),
        Some(source_database) => Err(TransferError::Store(StoreError::Unfinished {
            database: name,
            source_database,
        })),
    }
}
