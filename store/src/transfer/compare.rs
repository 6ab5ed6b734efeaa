//! Whether a copy is what was copied: all rows of both, side by side.

use std::collections::BTreeMap;

use sqlx::Row as _;

use super::database::Database;
use super::error::TransferError;
use super::source::Found;
use super::tables::Table;
use super::walk::Walk;
use crate::statement::Statement;

/// How many rows are compared before that is reported.
const REPORT: u64 = 4096;

/// Compares a table, and tells `compared` now and then how many rows were the same.
pub(super) async fn rows(
    one: &mut Database,
    other: &mut Database,
    table: &'static Table,
    mut compared: impl AsyncFnMut(u64),
) -> Result<(), TransferError> {
    let (mut one, mut other) = (Walk::all(one, table), Walk::all(other, table));
    let mut rows = 0;
    compared(rows).await;
    loop {
        let (one, other) = tokio::join!(one.next(), other.next());
        match (one?, other?) {
            (None, None) => break,
            (Some(one), Some(other)) if one == other => rows += 1,
            (one, other) => {
                // The first that is not the same, whether it is in both or not.
                let name = one.or(other).map_or_else(String::new, |row| row.name());
                return Err(differs(format!("the row {name} of {}", table.name)));
            }
        }
        if rows % REPORT == 0 {
            compared(rows).await;
        }
    }
    if rows % REPORT != 0 {
        compared(rows).await;
    }
    Ok(())
}

/// Compares what is not copied row by row: the epoch, how far inboxes have come, and how many messages there are.
pub(super) async fn sums(found: &Found, copy: &mut Database) -> Result<(), TransferError> {
    let copied = Found::look(copy).await?;
    if let Some(what) = found.first_difference(&copied) {
        return Err(differs(what));
    }
    let written = counts(
        copy,
        "SELECT status, COUNT(*) FROM messages GROUP BY status",
    )
    .await?;
    let counted = counts(copy, "SELECT status, count FROM message_counts").await?;
    match written == counted {
        true => Ok(()),
        false => Err(differs("the number of messages of each status".to_owned())),
    }
}

/// What a query returns of each status, in all; without those of which there are none.
async fn counts(
    database: &mut Database,
    text: &'static str,
) -> Result<BTreeMap<String, i64>, TransferError> {
    database
        .with(async |conn, dialect| {
            let rows = Statement::new(text).query(dialect)?;
            let mut counts = BTreeMap::new();
            for row in rows.fetch_all(conn).await? {
                *counts.entry(row.try_get(0)?).or_default() += row.try_get::<i64, _>(1)?;
            }
            counts.retain(|_, count| *count != 0);
            Ok(counts)
        })
        .await
}

fn differs(what: String) -> TransferError {
    TransferError::Differs { what }
}
