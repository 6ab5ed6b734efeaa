//! Rows that are changed or inserted, each with parameters of its own.

use super::{TextBytes, cut, for_each, list, padded, pieces, values};
use crate::dialect::{Dialect, PRIMARY};
use crate::statement::Statement;

/// Words that no column may be called in MySQL 8, and may in MariaDB.
const RESERVED: &[&str] = &[
    "cube",
    "cume_dist",
    "dense_rank",
    "empty",
    "first_value",
    "function",
    "generated",
    "get",
    "grouping",
    "groups",
    "json_table",
    "lag",
    "last_value",
    "lateral",
    "lead",
    "nth_value",
    "ntile",
    "of",
    "percent_rank",
    "rank",
    "row",
    "row_number",
    "rows",
    "stored",
    "system",
    "virtual",
    "window",
];

/// The same for MariaDB and MySQL, with the names of the columns, numbered from `$1`.
fn named_values(count: usize, columns: &[&str]) -> String {
    debug_assert!(
        columns.iter().all(|column| !RESERVED.contains(column)),
        "a word that MySQL keeps for itself: {columns:?}"
    );
    let one = |(column, name): (usize, &&str)| format!("${} AS {name}", column + 1);
    let names: Vec<_> = columns.iter().enumerate().map(one).collect();
    let first = format!("SELECT {}", names.join(", "));
    let rest = values(Dialect::MySql, count - 1, columns.len(), columns.len() + 1);
    [first, rest]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" UNION ALL ")
}

/// Changes rows of a table each in its own way. None of the parameters may be a long text: MariaDB cuts it short, by the bytes of
/// its length that it has no room for, without an error.
pub(crate) struct RowsUpdate {
    pub(crate) table: &'static str,
    /// What the rows of parameters are called, and their columns, whose names are not those of the table.
    pub(crate) rows: (&'static str, &'static [&'static str]),
    /// Columns of the table and what they become.
    pub(crate) set: &'static [(&'static str, &'static str)],
    /// Which row of parameters is for which of the table: by its primary key, and whatever else.
    pub(crate) matches: &'static str,
}

impl RowsUpdate {
    /// The same as [`statements`](Self::statements), which return these columns of what they changed. MySQL has no such thing.
    pub(crate) fn returning<T>(
        &self,
        dialect: Dialect,
        columns: &str,
        items: &[T],
        bind: impl Fn(Statement, Option<&T>) -> Statement,
    ) -> Vec<Statement> {
        let text = |rows| format!("{} RETURNING {columns}", self.text(dialect, rows));
        for_each(items, |rows| Statement::made(text(rows)), bind)
    }

    /// What changes a row for each of `items`, with the parameters that `bind` binds.
    pub(crate) fn statements<T>(
        &self,
        dialect: Dialect,
        items: &[T],
        bind: impl Fn(Statement, Option<&T>) -> Statement,
    ) -> Vec<Statement> {
        let start = |rows| Statement::made(self.text(dialect, rows));
        for_each(items, start, bind)
    }

    /// The text for `count` rows, whose parameters are numbered from `$1`.
    pub(crate) fn text(&self, dialect: Dialect, count: usize) -> String {
        let Self {
            table,
            rows: (name, columns),
            set,
            matches,
        } = self;
        let one = |(column, value): &(&str, &str)| match dialect {
            Dialect::Sqlite | Dialect::Postgres => format!("{column} = {value}"),
            Dialect::MySql => format!("{table}.{column} = {value}"),
        };
        let set = set.iter().map(one).collect::<Vec<_>>().join(", ");
        match dialect {
            Dialect::Sqlite | Dialect::Postgres => format!(
                "WITH {name} ({}) AS ({})
                 UPDATE {table} SET {set} FROM {name} WHERE {matches}",
                columns.join(", "),
                values(dialect, count, columns.len(), 1)
            ),
            // The rows of the table are looked for by their keys, and no others are locked.
            Dialect::MySql => format!(
                "UPDATE ({}) AS {name} STRAIGHT_JOIN {table}{} ON {matches} SET {set}",
                named_values(count, columns),
                dialect.by_index(PRIMARY)
            ),
        }
    }
}

/// Inserts rows.
pub(crate) struct RowsInsert {
    pub(crate) table: &'static str,
    /// The columns that are parameters.
    pub(crate) columns: &'static [&'static str],
    /// One that no row leaves empty.
    pub(crate) given: &'static str,
    /// Another one, with the same value in all rows.
    pub(crate) fixed: Option<(&'static str, &'static str)>,
}

impl RowsInsert {
    /// What inserts `rows`, with the parameters that `bind` binds, and with `again` behind, which says what becomes of rows that
    /// are there.
    pub(crate) fn statements<T: TextBytes>(
        &self,
        dialect: Dialect,
        rows: &[T],
        again: &str,
        bind: impl Fn(Statement, Option<&T>) -> Statement,
    ) -> Vec<Statement> {
        let insert = |piece: Vec<Option<&T>>| {
            let start = Statement::made(format!("{} {again}", self.text(dialect, piece.len())));
            piece.into_iter().fold(start, &bind)
        };
        match dialect {
            Dialect::Sqlite | Dialect::Postgres => padded(rows).map(insert).collect(),
            Dialect::MySql => cut(dialect, rows)
                .flat_map(pieces)
                .map(|piece| insert(piece.iter().map(Some).collect()))
                .collect(),
        }
    }

    fn text(&self, dialect: Dialect, count: usize) -> String {
        let Self { table, given, .. } = self;
        let columns = self.columns.join(", ");
        let (column, value) = self.fixed.map_or_else(Default::default, |(column, value)| {
            (format!(", {column}"), format!(", {value}"))
        });
        match dialect {
            // A row that is there to fill the statement up has nothing.
            Dialect::Sqlite | Dialect::Postgres => format!(
                "INSERT INTO {table} ({columns}{column})
                 WITH new ({columns}) AS ({})
                 SELECT {columns}{value} FROM new WHERE {given} IS NOT NULL",
                values(dialect, count, self.columns.len(), 1)
            ),
            // From rows of another table, it would copy all texts once more.
            Dialect::MySql => {
                let width = self.columns.len();
                let row = |row: usize| format!("({}{value})", list(width, row * width + 1));
                let rows = (0..count).map(row).collect::<Vec<_>>().join(", ");
                format!("INSERT INTO {table} ({columns}{column}) VALUES {rows}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_inserted_with_values_of_their_own_and_one_that_all_have() {
        let insert = RowsInsert {
            table: "t",
            columns: &["a", "b"],
            given: "a",
            fixed: Some(("c", "'x'")),
        };
        let text = insert.text(Dialect::MySql, 2);
        assert_eq!(
            text,
            "INSERT INTO t (a, b, c) VALUES ($1, $2, 'x'), ($3, $4, 'x')"
        );
        let text = insert.text(Dialect::Postgres, 2);
        let words: Vec<_> = text.split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "INSERT INTO t (a, b, c) WITH new (a, b) AS (VALUES ($1, $2), ($3, $4)) SELECT a, b, 'x' FROM new WHERE a IS NOT NULL"
        );
    }

    #[test]
    fn rows_are_changed_by_their_keys() {
        let update = RowsUpdate {
            table: "t",
            rows: ("r", &["k", "v"]),
            set: &[("b", "v")],
            matches: "a = k",
        };
        assert_eq!(
            update.text(Dialect::MySql, 2),
            "UPDATE (SELECT $1 AS k, $2 AS v UNION ALL SELECT $3, $4) AS r \
             STRAIGHT_JOIN t FORCE INDEX (PRIMARY) ON a = k SET t.b = v"
        );
        assert!(
            update
                .text(Dialect::MySql, 1)
                .contains("(SELECT $1 AS k, $2 AS v) AS r")
        );
    }
}
