//! The database that is copied to.

use sqlx::Connection as _;

use super::database::{Database, Tables, examine};
use super::error::TransferError;
use super::mark;
use super::row::{Row, statement};
use super::source::Found;
use super::tables::{TABLES, Table};
use crate::dialect::{Dialect, begin_write, row_refusal};
use crate::location::Location;
use crate::open::prepare;
use crate::statement::Statement;
use crate::{StoreError, bulk, migrations};

/// The database that is copied to.
pub(super) struct Target(pub(super) Database);

impl Target {
    /// Opens it, makes its tables if there are none, and marks it as an unfinished copy of `source`. What an interrupted copy
    /// has left there goes.
    pub(super) async fn open(location: &Location, source: &str) -> Result<Self, TransferError> {
        look(location).await?;
        let (conn, _) = prepare(location).await?;
        let mut database = Database::new(location, conn).await?;
        if let Some(lock) = database.dialect.try_lock_transfer()
            && database.number(Statement::new(lock)).await? == 0
        {
            return Err(TransferError::BeingCopied {
                database: database.name(),
            });
        }
        // Nobody copies to it any more: look at what there is now.
        refuse_others(&mut database).await?;
        let mut target = Self(database);
        if target.0.mark().await?.is_none() {
            target.mark(source).await?;
        }
        target.empty(source).await?;
        Ok(target)
    }

    /// Marks it, so that no server that is to come will use it; takes the mark back if one uses it already.
    async fn mark(&mut self, source: &str) -> Result<(), TransferError> {
        self.write([mark::set(source)], true).await?;
        let database = &mut self.0;
        let unused = async {
            database.refuse_in_use().await?;
            refuse_rows(database).await
        };
        let unused = unused.await;
        if unused.is_err() {
            self.finish().await?;
        }
        unused
    }

    /// Leaves nothing but the mark, piece by piece: all of a large database may take longer than one step may.
    async fn empty(&mut self, source: &str) -> Result<(), TransferError> {
        if let Some(text) = self.0.dialect.truncate(&TABLES.map(|table| table.name)) {
            let text = Statement::new(bulk::statement(text)).once();
            let emptied = self.write([text, mark::set(source)], true);
            return emptied.await.map(drop);
        }
        for table in TABLES.iter().rev() {
            let piece =
                self.0
                    .dialect
                    .delete_some(table.name, &table.names()[..table.key], table.only);
            let mut deleted = 1;
            while deleted > 0 {
                let piece = Statement::new(bulk::statement(piece.clone())).once();
                deleted = self.write([piece], false).await?;
            }
        }
        let sums = self.0.dialect.clear_sums().iter();
        let sums = sums.map(|text| Statement::new(*text));
        // It may be that of a copy of another source.
        let mark = [mark::clear(), mark::set(source)];
        self.write(sums.chain(mark), true).await.map(drop)
    }

    /// Adds rows of a table.
    pub(super) async fn insert(
        &mut self,
        table: &Table,
        rows: &[Row],
    ) -> Result<(), TransferError> {
        let pieces = bulk::cut(self.0.dialect, rows).flat_map(bulk::chunks);
        let written = self.write(pieces.map(|rows| insert(table, rows)), false);
        match written.await {
            Err(TransferError::Store(StoreError::Database(_))) => {
                self.insert_each(table, rows).await
            }
            written => written.map(drop),
        }
    }

    /// The same, one by one: says which of them the database does not take.
    async fn insert_each(&mut self, table: &Table, rows: &[Row]) -> Result<(), TransferError> {
        for row in rows {
            let written = self.write([insert(table, std::slice::from_ref(row))], false);
            written.await.map_err(|error| match error {
                TransferError::Store(StoreError::Database(error)) => TransferError::Row {
                    database: self.0.name(),
                    table: table.name,
                    row: row.name(),
                    reason: row_refusal(&error),
                },
                error => error,
            })?;
        }
        Ok(())
    }

    /// Puts in what a row refers to of its own table. `rows` have the key first.
    pub(super) async fn refer(
        &mut self,
        table: &Table,
        column: &str,
        rows: &[Row],
    ) -> Result<(), TransferError> {
        let place = table.place(column).unwrap_or_default();
        let statements = rows.iter().map(|row| {
            let key = table.names()[0];
            let text = format!("UPDATE {} SET {column} = $1 WHERE {key} = $2", table.name);
            statement(bulk::statement(text), [&row.0[place], &row.0[0]])
        });
        self.write(statements, false).await.map(drop)
    }

    /// Counts messages, and sets the epoch of inboxes and how far they have come.
    pub(super) async fn set_sums(&mut self, found: &Found) -> Result<(), TransferError> {
        let texts = self.0.dialect.set_inbox_progress();
        let [epoch, changes] = texts.map(bulk::statement);
        let sums = [
            Statement::new(epoch).bind(found.epoch.clone()),
            Statement::new(changes).bind(found.inbox_changes),
        ];
        let counts = self.0.dialect.count_messages().map(Statement::new);
        let sums = sums.into_iter().chain(counts);
        self.write(sums, false).await.map(drop)
    }

    /// Takes the mark away: from then on it is a database as any other.
    pub(super) async fn finish(&mut self) -> Result<(), TransferError> {
        self.write([mark::clear()], true).await.map(drop)
    }

    /// Does all or nothing, and returns how many rows were changed.
    async fn write(
        &mut self,
        statements: impl IntoIterator<Item = Statement>,
        durable: bool,
    ) -> Result<u64, TransferError> {
        self.0
            .with(async |conn, dialect| {
                let begin = begin_write(dialect, durable);
                let mut tx = conn.begin_with(begin).await?;
                let mut changed = 0;
                for statement in statements {
                    let done = statement.query(dialect)?.execute(&mut *tx).await?;
                    changed += done.rows_affected();
                }
                tx.commit().await?;
                Ok(changed)
            })
            .await
    }
}

/// What adds these rows.
fn insert(table: &Table, rows: &[Row]) -> Statement {
    let names = table.names();
    let text = format!(
        "INSERT INTO {} ({}) VALUES {}",
        table.name,
        names.join(", "),
        bulk::rows(rows.len(), names.len(), 1)
    );
    statement(bulk::statement(text), rows.iter().flat_map(|row| &row.0))
}

/// Refuses a database that is not empty, or that a server has open, before anything is changed.
async fn look(location: &Location) -> Result<(), TransferError> {
    let conn = match location {
        Location::File(file) if !file.path().is_file() => return Ok(()),
        Location::File(file) => {
            file.check_log().await?;
            file.connect_read_only().await?
        }
        Location::Server(server) => {
            examine(server, false).await?;
            server.connect().await?
        }
    };
    let mut database = Database::new(location, conn).await?;
    let looked = async {
        refuse_others(&mut database).await?;
        database.refuse_in_use().await
    };
    let looked = looked.await;
    database.close().await;
    looked
}

/// Refuses a database that has anything but what an interrupted copy or the migrations have left.
async fn refuse_others(database: &mut Database) -> Result<(), TransferError> {
    let current = migrations::current(database.dialect);
    let what = match database.tables().await? {
        Tables::None => return Ok(()),
        Tables::Foreign(None) => "tables that are not Herald's".into(),
        Tables::Foreign(Some(name)) => format!("a table {name}, which is not Herald's"),
        // They make no tables together: the migrations go on there.
        Tables::Of(0) if database.dialect == Dialect::MySql => return Ok(()),
        Tables::Of(found) if found != current => "tables of another version of Herald".into(),
        Tables::Of(_) if database.mark().await?.is_some() => return Ok(()),
        Tables::Of(_) => return refuse_rows(database).await,
    };
    Err(TransferError::NotEmpty {
        database: database.name(),
        what,
    })
}

/// Refuses a database that has rows which no migration has put there.
async fn refuse_rows(database: &mut Database) -> Result<(), TransferError> {
    match first_rows(database).await? {
        None => Ok(()),
        Some(table) => Err(TransferError::NotEmpty {
            database: database.name(),
            what: format!("data in it already (in the table {table})"),
        }),
    }
}

/// The first table that has such rows.
async fn first_rows(database: &mut Database) -> Result<Option<&'static str>, TransferError> {
    for table in TABLES.iter().filter(|table| !table.is_seeded) {
        let rows = table
            .only
            .map_or_else(String::new, |only| format!(" WHERE {only}"));
        let text = format!("SELECT '1' FROM {}{rows} LIMIT 1", table.name);
        let one = Statement::new(bulk::statement(text)).once();
        if database.text(one).await?.is_some() {
            return Ok(Some(table.name));
        }
    }
    Ok(None)
}
