//! Statements over many rows at once: most of the cost of a small statement is in handing it over.

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use crate::dialect::Dialect;
use crate::statement::Statement;

/// Rows of one statement, at most. SQLite takes 32,766 parameters, but finds each by looking through all before it.
const MAX_ROWS: usize = 64;

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
    let row = |row: usize| {
        let start = first + row * columns;
        format!("({})", list(columns, start))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
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

/// What stands behind IN for as many keys of as many columns, numbered from `$first`.
pub(crate) fn keys(dialect: Dialect, count: usize, columns: usize, first: usize) -> String {
    let rows = rows(count, columns, first);
    match dialect {
        Dialect::Sqlite | Dialect::Postgres => format!("VALUES {rows}"),
        Dialect::MySql => rows,
    }
}

/// Changes rows of a table each in its own way.
pub(crate) struct RowsUpdate {
    pub(crate) table: &'static str,
    /// What the rows of parameters are called, and their columns, whose names are not those of the table.
    pub(crate) rows: (&'static str, &'static [&'static str]),
    /// Columns of the table and what they become.
    pub(crate) set: &'static [(&'static str, &'static str)],
    /// Which row of parameters is for which of the table.
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
        let values = values(dialect, count, columns.len(), 1);
        let columns = columns.join(", ");
        let one = |(column, value): &(&str, &str)| match dialect {
            Dialect::Sqlite | Dialect::Postgres => format!("{column} = {value}"),
            Dialect::MySql => format!("{table}.{column} = {value}"),
        };
        let set = set.iter().map(one).collect::<Vec<_>>().join(", ");
        match dialect {
            Dialect::Sqlite | Dialect::Postgres => format!(
                "WITH {name} ({columns}) AS ({values})
                 UPDATE {table} SET {set} FROM {name} WHERE {matches}"
            ),
            Dialect::MySql => format!(
                "UPDATE {table} JOIN (WITH {name} ({columns}) AS ({values}) SELECT * FROM {name}) AS {name}
                 SET {set} WHERE {matches}"
            ),
        }
    }
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
    let one = |number| format!("${number}");
    let all: Vec<_> = (first..first + count).map(one).collect();
    all.join(", ")
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

    #[test]
    fn parameters_are_numbered_through() {
        assert_eq!(rows(2, 3, 4), "($4, $5, $6), ($7, $8, $9)");
        assert_eq!(list(3, 1), "$1, $2, $3");
    }
}
