//! Statements over many rows at once: most of the cost of a small statement is in handing it over.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use crate::dialect::{Dialect, PRIMARY};
use crate::statement::Statement;

/// Rows of one statement, at most. SQLite takes 32,766 parameters, but finds each by looking through all before it.
const MAX_ROWS: usize = 64;

/// Bytes of texts in a statement of more than one row, at most, where the database bounds it.
const MAX_BYTES: usize = 4 << 20;

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

/// Cuts `items` into pieces whose lengths are powers of two, so that there are few different statements and each is
/// prepared once.
pub(crate) fn chunks<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let largest = 1 << items.len().checked_ilog2()?;
        let (chunk, rest) = items.split_at(MAX_ROWS.min(largest));
        items = rest;
        Some(chunk)
    })
}

/// Cuts `items` into pieces, the last of which is filled up with `None` to a power of two: one statement where
/// [`chunks`] makes several. `None` is bound as NULL, which no row equals.
pub(crate) fn padded<T>(items: &[T]) -> impl Iterator<Item = Vec<Option<&T>>> {
    items.chunks(MAX_ROWS).map(|chunk| {
        let mut padded: Vec<_> = chunk.iter().map(Some).collect();
        padded.resize(chunk.len().next_power_of_two(), None);
        padded
    })
}

/// `($1, $2), ($3, $4)`: as many rows of as many columns, numbered from `$first`.
pub(crate) fn rows(rows: usize, columns: usize, first: usize) -> String {
    let mut text = String::new();
    for row in 0..rows {
        text += if row == 0 { "(" } else { ", (" };
        push_list(&mut text, columns, first + row * columns);
        text += ")";
    }
    text
}

/// A query that returns as many rows of as many parameters, numbered from `$first`.
pub(crate) fn values(dialect: Dialect, count: usize, columns: usize, first: usize) -> String {
    match dialect {
        Dialect::Sqlite | Dialect::Postgres => format!("VALUES {}", rows(count, columns, first)),
        // MariaDB and MySQL write VALUES each in a way of its own.
        Dialect::MySql => {
            let row = |row: usize| format!("SELECT {}", list(columns, first + row * columns));
            (0..count).map(row).collect::<Vec<_>>().join(" UNION ALL ")
        }
    }
}

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

/// What stands behind IN for as many keys of as many columns, numbered from `$first`.
pub(crate) fn keys(dialect: Dialect, count: usize, columns: usize, first: usize) -> String {
    let rows = rows(count, columns, first);
    match dialect {
        Dialect::Sqlite | Dialect::Postgres => format!("VALUES {rows}"),
        Dialect::MySql => rows,
    }
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
            let text = format!("{} {again}", self.text(dialect, piece.len()));
            piece
                .into_iter()
                .fold(Statement::new(statement(text)), &bind)
        };
        match dialect {
            Dialect::Sqlite | Dialect::Postgres => padded(rows).map(insert).collect(),
            Dialect::MySql => cut(dialect, rows)
                .flat_map(chunks)
                .map(|chunk| insert(chunk.iter().map(Some).collect()))
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

/// What is written with texts of users in it.
pub(crate) trait TextBytes {
    /// How many bytes those have, about.
    fn text_bytes(&self) -> usize;
}

impl<T: TextBytes> TextBytes for &T {
    fn text_bytes(&self) -> usize {
        T::text_bytes(self)
    }
}

/// Cuts rows into pieces, each of which a statement can hold: MariaDB and MySQL take no more at once than `max_allowed_packet`,
/// of which this is a part.
pub(crate) fn cut<T: TextBytes>(dialect: Dialect, mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let is_full = |row: &T| {
            bytes += row.text_bytes();
            dialect == Dialect::MySql && bytes > MAX_BYTES
        };
        let fitting = rows.iter().position(is_full).unwrap_or(rows.len());
        let (piece, rest) = rows.split_at(fitting.max(1).min(rows.len()));
        rows = rest;
        Some(piece).filter(|piece| !piece.is_empty())
    })
}

/// `text`, which ends with a column, for the rows that have one of these ids there.
pub(crate) fn of_each(text: &str, ids: &[String]) -> impl Iterator<Item = Statement> {
    padded(ids).map(move |ids| {
        let text = format!("{text} IN ({})", list(ids.len(), 1));
        let ids = ids.into_iter().map(|id| id.map(String::as_str));
        Statement::new(statement(text)).bind_all(ids)
    })
}

/// `$1, $2, $3`, numbered from `$first`.
pub(crate) fn list(count: usize, first: usize) -> String {
    let mut text = String::new();
    push_list(&mut text, count, first);
    text
}

fn push_list(text: &mut String, count: usize, first: usize) {
    for number in first..first + count {
        text.push_str(if number == first { "$" } else { ", $" });
        let _ = write!(text, "{number}");
    }
}

/// A statement that was put together from the text of this crate and the functions above. Everything else is bound.
pub(crate) fn statement(text: String) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_all_items_in_order_in_few_sizes() {
        for len in 0..300 {
            let items: Vec<_> = (0..len).collect();
            let cut: Vec<_> = chunks(&items).collect();
            assert_eq!(cut.concat(), items);
            assert!(
                cut.iter()
                    .all(|chunk| chunk.len().is_power_of_two() && chunk.len() <= MAX_ROWS)
            );
        }
    }

    #[test]
    fn padded_pieces_are_all_items_in_order_in_few_sizes() {
        for len in 0..300 {
            let items: Vec<_> = (0..len).collect();
            let cut: Vec<_> = padded(&items).collect();
            let kept: Vec<_> = cut.iter().flatten().flatten().copied().copied().collect();
            assert_eq!(kept, items);
            assert_eq!(cut.len(), items.len().div_ceil(MAX_ROWS));
            assert!(cut.iter().all(|piece| piece.len().is_power_of_two()));
        }
    }

    struct Text(usize);

    impl TextBytes for Text {
        fn text_bytes(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn rows_with_long_texts_are_cut_for_mysql_and_none_is_lost() {
        let rows = [1, MAX_BYTES - 1, 1, MAX_BYTES + 9, 0, 7].map(Text);
        let cut = |dialect| {
            super::cut(dialect, &rows)
                .map(<[Text]>::len)
                .collect::<Vec<_>>()
        };
        assert_eq!(cut(Dialect::Sqlite), [6]);
        assert_eq!(cut(Dialect::MySql), [2, 1, 1, 2]);
        assert_eq!(super::cut(Dialect::MySql, &[] as &[Text]).count(), 0);
    }

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

    #[test]
    fn parameters_are_numbered_through() {
        assert_eq!(rows(2, 3, 4), "($4, $5, $6), ($7, $8, $9)");
        assert_eq!(list(3, 1), "$1, $2, $3");
    }
}
