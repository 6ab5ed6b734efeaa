//! Statements over many rows at once: most of the cost of a small statement is in handing it over.

mod rows;

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use crate::dialect::Dialect;
use crate::statement::Statement;
pub(crate) use rows::{RowsInsert, RowsUpdate};

/// Rows of one statement, at most.
const MAX_ROWS: usize = 64;

/// Rows that one statement inserts on MySQL, at most, and by how many such statements differ.
const MAX_INSERTED: usize = 256;
const STEP: usize = 16;

/// Bytes of texts in a statement of more than one row, at most, where the database bounds it.
const MAX_BYTES: usize = 4 << 20;

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

/// Cuts `items` into pieces of few sizes, for statements that cannot be filled up: two of them, at most, for as many as a batch
/// has.
fn pieces<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let len = match items.len() {
            0 => return None,
            few @ ..STEP => few,
            many => (many - many % STEP).min(MAX_INSERTED),
        };
        let (piece, rest) = items.split_at(len);
        items = rest;
        Some(piece)
    })
}

/// Cuts `items` into pieces, the last of which is filled up with `None` to a power of four: one statement where [`chunks`] makes
/// several, and few different ones where several share a text. `None` is bound as NULL, which no row equals.
pub(crate) fn padded<T>(items: &[T]) -> impl Iterator<Item = Vec<Option<&T>>> {
    items.chunks(MAX_ROWS).map(|chunk| {
        let mut padded: Vec<_> = chunk.iter().map(Some).collect();
        let mut sizes = (0..).map(|power| 4_usize.pow(power));
        let size = sizes.find(|size| *size >= chunk.len());
        padded.resize(size.unwrap_or(MAX_ROWS), None);
        padded
    })
}

/// Statements for all of `items`, as few as there can be. `start` is one for so many rows, with what is bound before them; then
/// `bind` binds each item, or NULL where the statement is filled up.
pub(crate) fn for_each<T>(
    items: &[T],
    start: impl Fn(usize) -> Statement,
    bind: impl Fn(Statement, Option<&T>) -> Statement,
) -> Vec<Statement> {
    let one = |some: Vec<Option<&T>>| some.iter().copied().fold(start(some.len()), &bind);
    padded(items).map(one).collect()
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

/// What stands behind IN for as many keys of as many columns, numbered from `$first`.
pub(crate) fn keys(dialect: Dialect, count: usize, columns: usize, first: usize) -> String {
    let rows = rows(count, columns, first);
    match dialect {
        Dialect::Sqlite | Dialect::Postgres => format!("VALUES {rows}"),
        Dialect::MySql => rows,
    }
}

/// The condition of an UPDATE or DELETE of messages for those with as many ids, numbered from `$first`. If the ids are sorted, the
/// rows are locked in their order, as by all others. PostgreSQL would lock them in that of its table.
pub(crate) fn ids_in_order(dialect: Dialect, count: usize, first: usize) -> String {
    let ids = list(count, first);
    match dialect {
        Dialect::Sqlite | Dialect::MySql => format!("id IN ({ids})"),
        Dialect::Postgres => format!(
            "id IN (SELECT id FROM messages WHERE id IN ({ids}) ORDER BY id FOR NO KEY UPDATE)"
        ),
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
pub(crate) fn of_each(text: &str, ids: &[impl AsRef<str>]) -> Vec<Statement> {
    let start = |rows| Statement::made(format!("{text} IN ({})", list(rows, 1)));
    for_each(ids, start, |statement, id| {
        statement.bind(id.map(AsRef::as_ref))
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

    #[test]
    fn pieces_are_all_items_in_order_in_few_sizes() {
        let mut sizes = std::collections::BTreeSet::new();
        for len in 0..=600 {
            let items: Vec<_> = (0..len).collect();
            let cut: Vec<_> = pieces(&items).collect();
            assert_eq!(cut.concat(), items);
            assert!(cut.len() <= 2 + len / MAX_INSERTED);
            sizes.extend(cut.iter().map(|piece| piece.len()));
        }
        assert_eq!(sizes.len(), MAX_INSERTED / STEP + STEP - 1);
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
    fn parameters_are_numbered_through() {
        assert_eq!(rows(2, 3, 4), "($4, $5, $6), ($7, $8, $9)");
        assert_eq!(list(3, 1), "$1, $2, $3");
    }
}
