//! All rows of a table in the order of its primary key, a few at a time.

use std::collections::VecDeque;

use futures_util::TryStreamExt as _;
use sqlx::AnyConnection;

use super::database::Database;
use super::error::TransferError;
use super::row::{Row, Value, statement};
use super::tables::Table;
use crate::bulk;

/// How many rows are asked for at once, at most.
const ROWS: usize = 512;

/// How many bytes are taken at once, and one row more.
const BYTES: usize = 4 * 1024 * 1024;

/// A walk through a table.
pub(super) struct Walk<'d> {
    database: &'d mut Database,
    table: &'static Table,
    /// Which rows.
    only: Vec<String>,
    last: Option<Vec<Value>>,
    /// How many rows are asked for next: as many as fit, as far as is known.
    rows: usize,
    read: VecDeque<Row>,
    done: bool,
}

impl<'d> Walk<'d> {
    /// Through all rows that are copied.
    pub(super) fn all(database: &'d mut Database, table: &'static Table) -> Self {
        Self {
            database,
            table,
            only: table.only.map(str::to_owned).into_iter().collect(),
            last: None,
            rows: 64,
            read: VecDeque::new(),
            done: false,
        }
    }

    /// Through those that refer to another row by `column`.
    pub(super) fn that_refer(
        database: &'d mut Database,
        table: &'static Table,
        column: &str,
    ) -> Self {
        let mut walk = Self::all(database, table);
        walk.only.push(format!("{column} IS NOT NULL"));
        walk
    }

    /// The next row; `None` behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<Row>, TransferError> {
        if self.read.is_empty() {
            self.read = self.page().await?.into();
        }
        Ok(self.read.pop_front())
    }

    /// The next rows, as many as are to be held at once; none behind the last.
    pub(super) async fn page(&mut self) -> Result<Vec<Row>, TransferError> {
        if self.done {
            return Ok(vec![]);
        }
        let (text, values) = self.text();
        let statement = statement(bulk::statement(text), &values).once();
        let (asked, table) = (self.rows, self.table);
        let reading = async |conn: &mut AnyConnection, dialect| {
            let (mut page, mut bytes) = (vec![], 0);
            let mut rows = statement.query(dialect)?.fetch(conn);
            while bytes < BYTES
                && let Some(row) = rows.try_next().await?
            {
                let row = Row::read(table, &row)?;
                bytes += row.bytes();
                page.push(row);
            }
            Ok((page, bytes))
        };
        let (page, bytes) = self.database.with(reading).await?;
        // A server sends what was asked for whether it is taken or not.
        self.rows = match page.len() {
            read if bytes >= BYTES => read.max(1),
            _ => ROWS.min(asked * 2),
        };
        self.done = bytes < BYTES && page.len() < asked;
        if let Some(row) = page.last() {
            self.last = Some(row.key(table).to_vec());
        }
        Ok(page)
    }

    fn text(&self) -> (String, Vec<Value>) {
        let names = self.table.names();
        let key = &names[..self.table.key];
        let mut conditions = self.only.clone();
        let mut values = vec![];
        if let Some(last) = &self.last {
            let (behind, places) = self.database.dialect.compare_rows(key, '>', 1);
            conditions.push(format!("({behind})"));
            values.extend(places.into_iter().map(|place| last[place].clone()));
        }
        let conditions = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        let text = format!(
            "SELECT {} FROM {}{conditions} ORDER BY {} LIMIT {}",
            names.join(", "),
            self.table.name,
            key.join(", "),
            self.rows
        );
        (text, values)
    }
}
