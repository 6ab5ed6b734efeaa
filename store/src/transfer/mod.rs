//! Copies all that a database has to another one, which may be of another kind.
//!
//! The source is read in one transaction, table by table in the order of primary keys, so that it is copied as it was at one
//! moment. The target has a mark until all is there and compared: no server starts on it, and a copy that begins again throws
//! away what there is. So a copy can be killed at any moment.

mod compare;
mod database;
mod error;
mod mark;
mod progress;
mod row;
mod source;
mod tables;
mod target;
#[cfg(test)]
mod tests;
mod walk;

use std::path::absolute;

pub(crate) use mark::refuse_unfinished;

pub use error::TransferError;
pub use progress::{TransferProgress, TransferStep, Transferred};

use crate::DatabaseUrl;
use crate::dialect::Dialect;
use crate::location::Location;
use row::Row;
use source::Source;
use tables::{TABLES, Table};
use target::Target;
use walk::Walk;

/// Copies all that the database `from` has to the database `to`, compares the two row by row, and tells `progress` how far it
/// has come. No server may have either open: that of a file is known by its lock, which is the caller's to take.
///
/// It may be dropped at any moment, and be called again: then it begins anew.
///
/// # Errors
///
/// A [`TransferError`] that says what to do.
pub async fn transfer_database(
    from: DatabaseUrl,
    to: DatabaseUrl,
    mut progress: impl AsyncFnMut(TransferProgress),
) -> Result<Transferred, TransferError> {
    let (from, to) = (Location::parse(from)?, Location::parse(to)?);
    if is_same(&from, &to) {
        return Err(TransferError::Same {
            database: from.name(),
        });
    }
    let mut source = Source::open(&from).await?;
    let mut target = Target::open(&to, &from.name()).await?;
    let all = source.found.rows.clone();
    for (table, all) in TABLES.iter().zip(&all) {
        let report = async |rows| {
            progress(TransferProgress {
                step: TransferStep::Copying,
                table: table.name,
                rows,
                all: *all,
            })
            .await;
        };
        copy(&mut source, &mut target, table, report).await?;
    }
    target.set_sums(&source.found).await?;
    for (table, all) in TABLES.iter().zip(&all) {
        let report = async |rows| {
            progress(TransferProgress {
                step: TransferStep::Comparing,
                table: table.name,
                rows,
                all: *all,
            })
            .await;
        };
        compare::rows(&mut source.database, &mut target.0, table, report).await?;
    }
    compare::sums(&source.found, &mut target.0).await?;
    source.refuse_changes().await?;
    target.finish().await?;
    source.database.close().await;
    target.0.close().await;
    let names = TABLES.iter().map(|table| table.name);
    Ok(Transferred {
        tables: names.zip(all).collect(),
    })
}

/// Whether both are one, as far as their addresses tell.
fn is_same(from: &Location, to: &Location) -> bool {
    match (from, to) {
        (Location::Server(from), Location::Server(to)) => from.is_same(to),
        (Location::File(from), Location::File(to)) => {
            let (from, to) = (from.path(), to.path());
            match (from.canonicalize(), to.canonicalize()) {
                (Ok(from), Ok(to)) => from == to,
                _ => absolute(from).ok() == absolute(to).ok(),
            }
        }
        (Location::File(_), Location::Server(_)) | (Location::Server(_), Location::File(_)) => {
            false
        }
    }
}

/// Copies all rows of a table.
async fn copy(
    source: &mut Source,
    target: &mut Target,
    table: &'static Table,
    mut report: impl AsyncFnMut(u64),
) -> Result<(), TransferError> {
    report(0).await;
    let name = source.database.name();
    let reference = table
        .refers
        .and_then(|column| Some((column, table.place(column)?)));
    let mut copied = 0;
    let mut walk = Walk::all(&mut source.database, table);
    loop {
        let mut rows = walk.page().await?;
        if rows.is_empty() {
            break;
        }
        if target.0.dialect == Dialect::Postgres
            && let Some(row) = rows.iter().find(|row| row.has_nul())
        {
            return Err(TransferError::Nul {
                database: name,
                table: table.name,
                row: row.name(),
            });
        }
        if let Some((_, place)) = reference {
            rows.iter_mut().for_each(|Row(values)| {
                values[place] = values[place].null();
            });
        }
        target.insert(table, &rows).await?;
        copied += rows.len() as u64;
        report(copied).await;
    }
    let Some((column, _)) = reference else {
        return Ok(());
    };
    let mut walk = Walk::that_refer(&mut source.database, table, column);
    loop {
        let rows = walk.page().await?;
        if rows.is_empty() {
            return Ok(());
        }
        target.refer(table, column, &rows).await?;
    }
}
