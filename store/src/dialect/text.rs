//! How each database wants the text of a statement that they otherwise share.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use super::Dialect;

/// What MySQL calls the index of a primary key.
pub(crate) const PRIMARY: &str = "PRIMARY";

impl Dialect {
    /// The text of a statement whose parameters are `$1`, `$2`, ..., each used once and in this order, as this database wants
    /// it. Costs nothing where it is the same; elsewhere a text that is `kept` is looked up.
    pub(crate) fn text(self, text: SqlStr, kept: bool) -> SqlStr {
        match self {
            Self::Sqlite | Self::Postgres => text,
            Self::MySql if kept => AssertSqlSafe(kept_text(text.as_str())).into_sql_str(),
            Self::MySql => AssertSqlSafe(question_marks(text.as_str())).into_sql_str(),
        }
    }

    /// What reads when the message was accepted that was accepted last, whatever the clock showed then. Other databases than
    /// SQLite know that by its id only, which is from a clock, too.
    pub(crate) fn newest_message(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT created_at FROM messages ORDER BY rowid DESC LIMIT 1",
            Self::Postgres | Self::MySql => {
                "SELECT created_at FROM messages ORDER BY id DESC LIMIT 1"
            }
        }
    }

    /// The condition that the row of `columns` comes before (`<`) or behind (`>`) one of parameters, numbered from `$first`, and
    /// for which column each parameter is. MariaDB walks through an index where others seek a row.
    pub(crate) fn compare_rows(
        self,
        columns: &[&str],
        comparison: char,
        first: usize,
    ) -> (String, Vec<usize>) {
        if self != Self::MySql && columns.len() > 1 {
            let parameters = (0..columns.len()).map(|column| format!("${}", first + column));
            let parameters = parameters.collect::<Vec<_>>().join(", ");
            let columns_text = columns.join(", ");
            let text = format!("({columns_text}) {comparison} ({parameters})");
            return (text, (0..columns.len()).collect());
        }
        let mut text = String::new();
        let mut values = vec![];
        for (column, name) in columns.iter().enumerate() {
            let number = first + values.len();
            if column + 1 == columns.len() {
                text += &format!("{name} {comparison} ${number}");
                values.push(column);
            } else {
                let next = number + 1;
                text +=
                    &format!("{name} {comparison}= ${number} AND ({name} {comparison} ${next} OR ");
                values.extend([column, column]);
            }
        }
        text += &")".repeat(columns.len().saturating_sub(1));
        (text, values)
    }

    /// What ends a SELECT whose rows no other writer may change until this one has committed. SQLite has one writer.
    pub(crate) fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres | Self::MySql => " FOR UPDATE",
        }
    }

    /// The time of the database, in milliseconds to the second.
    pub(crate) fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "unixepoch() * 1000",
            Self::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT) * 1000",
            Self::MySql => "UNIX_TIMESTAMP() * 1000",
        }
    }

    /// The time of the database, in milliseconds, as it is when the statement runs.
    pub(crate) fn now_millis(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            Self::Postgres => "CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT)",
            Self::MySql => "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000)",
        }
    }

    /// The type of an integer of 8 bytes, as CAST has it.
    pub(crate) fn integer(self) -> &'static str {
        match self {
            Self::Sqlite | Self::Postgres => "BIGINT",
            Self::MySql => "SIGNED",
        }
    }

    /// What stands behind a table whose rows are looked for in this index. Where rows are locked as they are read, MySQL must not
    /// walk through others, and it has no indexes that hold few rows only.
    pub(crate) fn by_index(self, index: &str) -> String {
        match self {
            Self::Sqlite | Self::Postgres => String::new(),
            Self::MySql => format!(" FORCE INDEX ({index})"),
        }
    }

    /// The column of messages with a time that their status is about, where they are looked for by both: `run_at` of those that
    /// are queued, `lease_until` of those that are processed, `processed_at` of those that have ended. MySQL has one for all, and
    /// its index.
    pub(crate) fn status_time(self, column: &'static str) -> &'static str {
        match self {
            Self::Sqlite | Self::Postgres => column,
            Self::MySql => "status_at",
        }
    }

    /// What stands behind messages that are looked for by their status, and may be read in the order of such a time: other indexes
    /// begin with the status, too.
    pub(crate) fn by_status_time(self) -> String {
        self.by_index("messages_by_time")
    }

    /// What begins a DELETE from a table, whose rows are looked for by their keys.
    pub(crate) fn delete_by_key(self, table: &str) -> String {
        self.delete_by_index(table, PRIMARY)
    }

    /// The same for rows that are looked for in this index: MySQL waits for each row that it passes.
    pub(crate) fn delete_by_index(self, table: &str, index: &str) -> String {
        match self {
            Self::Sqlite | Self::Postgres => format!("DELETE FROM {table}"),
            Self::MySql => format!("DELETE {table} FROM {table}{}", self.by_index(index)),
        }
    }

    /// What ends an INSERT of rows of which some may be there, by `keys`, the columns of a unique index: those get the new
    /// values of `columns`. Without any they stay as they are; MySQL counts them among the changed rows nevertheless.
    pub(crate) fn on_conflict(self, keys: &[&str], columns: &[&str]) -> String {
        let set = |columns: &[&str]| {
            let one = |column: &&str| match self {
                Self::Sqlite | Self::Postgres => format!("{column} = excluded.{column}"),
                Self::MySql => format!("{column} = VALUES({column})"),
            };
            columns.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        match (self, columns) {
            (Self::Sqlite | Self::Postgres, []) => {
                format!("ON CONFLICT ({}) DO NOTHING", keys.join(", "))
            }
            (Self::Sqlite | Self::Postgres, _) => {
                let keys = keys.join(", ");
                format!("ON CONFLICT ({keys}) DO UPDATE SET {}", set(columns))
            }
            // It knows no way to do nothing.
            (Self::MySql, []) => format!("ON DUPLICATE KEY UPDATE {}", set(keys)),
            (Self::MySql, _) => format!("ON DUPLICATE KEY UPDATE {}", set(columns)),
        }
    }
}

/// Texts as MySQL has them, by those that all share. A text is that of a place in the code, in one of a few sizes; were there
/// more, they would not be kept.
static TEXTS: LazyLock<RwLock<HashMap<Box<str>, Arc<str>>>> = LazyLock::new(RwLock::default);

/// How many texts are kept, at most.
const MOST: usize = 1024;

/// [`question_marks`], which are put once.
fn kept_text(text: &str) -> Arc<str> {
    // What is in it is whole whatever panics.
    let texts = TEXTS.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(kept) = texts.get(text) {
        return kept.clone();
    }
    drop(texts);
    let replaced: Arc<str> = question_marks(text).into();
    let mut texts = TEXTS.write().unwrap_or_else(PoisonError::into_inner);
    if texts.len() < MOST {
        texts.insert(text.into(), replaced.clone());
    }
    replaced
}

/// Replaces `$1`, `$2`, ... outside of quotes.
fn question_marks(text: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    push_with_question_marks(&mut replaced, text);
    replaced
}

/// Adds a text whose parameters are `$1`, `$2`, ..., each used once and in this order, with question marks for them.
pub(crate) fn push_with_question_marks(to: &mut String, text: &str) {
    let mut rest = text;
    let mut parameters = 0;
    while let Some(at) = rest.find(['$', '\'', '"', '`']) {
        let (before, found) = rest.split_at(at);
        to.push_str(before);
        let (mark, behind) = found.split_at(1);
        if mark == "$" {
            let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
            parameters += 1;
            debug_assert_eq!(
                behind[..digits].parse(),
                Ok(parameters),
                "a parameter is used twice or out of order: {text}"
            );
            to.push('?');
            rest = &behind[digits..];
        } else {
            // Two quotes within quotes end them and begin them again.
            let end = behind.find(mark).map_or(found.len(), |end| end + 2);
            to.push_str(&found[..end]);
            rest = &found[end..];
        }
    }
    to.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_question_marks_outside_of_quotes() {
        for (text, replaced) in [
            ("SELECT 1", "SELECT 1"),
            (
                "SELECT a FROM b WHERE c = $1 AND d < $2",
                "SELECT a FROM b WHERE c = ? AND d < ?",
            ),
            (
                "VALUES ($1,$2), ($3,$4), ($5,$6), ($7,$8), ($9,$10)",
                "VALUES (?,?), (?,?), (?,?), (?,?), (?,?)",
            ),
            (
                "SELECT '$1', 'it''s $2', \"$3\", `$4` FROM a WHERE b = 'ü' AND c = $1",
                "SELECT '$1', 'it''s $2', \"$3\", `$4` FROM a WHERE b = 'ü' AND c = ?",
            ),
            ("SELECT '\"' || $1", "SELECT '\"' || ?"),
        ] {
            assert_eq!(question_marks(text), replaced);
        }
    }

    #[test]
    #[should_panic(expected = "used twice or out of order")]
    fn a_parameter_that_is_used_twice_is_found() {
        question_marks("SELECT $1, $2, $1");
    }

    #[test]
    #[should_panic(expected = "used twice or out of order")]
    fn a_parameter_that_is_out_of_order_is_found() {
        question_marks("SELECT $2, $1");
    }

    #[test]
    fn only_mysql_has_texts_of_its_own() {
        let text = || AssertSqlSafe("SELECT $1".to_owned()).into_sql_str();
        for kept in [true, false, true] {
            assert_eq!(Dialect::Sqlite.text(text(), kept).as_str(), "SELECT $1");
            assert_eq!(Dialect::Postgres.text(text(), kept).as_str(), "SELECT $1");
            assert_eq!(Dialect::MySql.text(text(), kept).as_str(), "SELECT ?");
        }
    }

    #[test]
    fn however_many_texts_there_are_no_more_than_some_are_kept() {
        for number in 0..2 * MOST {
            let text = format!("SELECT {number}, $1");
            assert_eq!(&*kept_text(&text), format!("SELECT {number}, ?"));
        }
        assert_eq!(TEXTS.read().unwrap().len(), MOST);
    }

    #[test]
    fn rows_are_compared_column_by_column_where_rows_are_not() {
        let columns = ["a", "b", "c"];
        let (text, values) = Dialect::Sqlite.compare_rows(&columns, '<', 2);
        assert_eq!(
            (text.as_str(), values),
            ("(a, b, c) < ($2, $3, $4)", vec![0, 1, 2])
        );
        let (text, values) = Dialect::MySql.compare_rows(&columns, '>', 2);
        let nested = "a >= $2 AND (a > $3 OR b >= $4 AND (b > $5 OR c > $6))";
        assert_eq!((text.as_str(), values), (nested, vec![0, 0, 1, 1, 2]));
        for dialect in [Dialect::Postgres, Dialect::MySql] {
            let (text, values) = dialect.compare_rows(&["a"], '<', 1);
            assert_eq!((text.as_str(), values), ("a < $1", vec![0]));
        }
    }

    #[test]
    fn only_mysql_is_told_which_index_to_use() {
        assert_eq!(Dialect::Postgres.by_index("a"), "");
        assert_eq!(Dialect::Sqlite.delete_by_key("t"), "DELETE FROM t");
        assert_eq!(Dialect::MySql.by_index("a"), " FORCE INDEX (a)");
        let delete = "DELETE t FROM t FORCE INDEX (PRIMARY)";
        assert_eq!(Dialect::MySql.delete_by_key("t"), delete);
        let delete = "DELETE t FROM t FORCE INDEX (a)";
        assert_eq!(Dialect::MySql.delete_by_index("t", "a"), delete);
    }

    #[test]
    fn what_is_there_is_replaced_or_stays() {
        let keys = ["user_id", "client_id"];
        for (dialect, replaced, stays) in [
            (
                Dialect::Postgres,
                "ON CONFLICT (user_id, client_id) DO UPDATE SET seq = excluded.seq, at = excluded.at",
                "ON CONFLICT (user_id, client_id) DO NOTHING",
            ),
            (
                Dialect::MySql,
                "ON DUPLICATE KEY UPDATE seq = VALUES(seq), at = VALUES(at)",
                "ON DUPLICATE KEY UPDATE user_id = VALUES(user_id), client_id = VALUES(client_id)",
            ),
        ] {
            assert_eq!(dialect.on_conflict(&keys, &["seq", "at"]), replaced);
            assert_eq!(dialect.on_conflict(&keys, &[]), stays);
        }
    }
}
