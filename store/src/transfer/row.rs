//! Rows as values that any database takes.

use sqlx::any::AnyRow;
use sqlx::{Row as _, SqlSafeStr};

use super::tables::{Kind, Table};
use crate::bulk::TextBytes;
use crate::statement::Statement;

/// How many characters of a name are shown. Names of topics have no other limit than MQTT's.
const SHOWN: usize = 100;

/// How many bytes a number counts for, whatever it is.
const NUMBER: usize = 8;

/// What a column of a row holds. Has no `Debug`: it may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(Option<String>),
    Int(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

impl Value {
    /// The same kind of value, without one.
    pub(super) fn null(&self) -> Self {
        match self {
            Self::Text(_) => Self::Text(None),
            Self::Int(_) => Self::Int(None),
            Self::Bytes(_) => Self::Bytes(None),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.as_ref().map_or(0, String::len),
            Self::Bytes(bytes) => bytes.as_ref().map_or(0, Vec::len),
            Self::Int(_) => NUMBER,
        }
    }

    fn bind(&self, statement: Statement) -> Statement {
        match self {
            Self::Text(text) => statement.bind(text.clone()),
            Self::Int(number) => statement.bind(*number),
            Self::Bytes(bytes) => statement.bind(bytes.clone()),
        }
    }
}

/// The columns of a table, in the order of its list.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Row(pub(super) Vec<Value>);

impl Row {
    /// Takes the row that a database returned.
    pub(super) fn read(table: &Table, row: &AnyRow) -> Result<Self, sqlx::Error> {
        let column = |(place, (_, kind)): (usize, &(&str, Kind))| {
            Ok(match kind {
                Kind::Text => Value::Text(row.try_get(place)?),
                Kind::Int => Value::Int(row.try_get(place)?),
                Kind::Bytes => Value::Bytes(row.try_get(place)?),
            })
        };
        let columns = table.columns.iter().enumerate().map(column);
        columns.collect::<Result<_, _>>().map(Self)
    }

    /// How much room it takes here, about.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(Value::bytes).sum()
    }

    /// Its primary key.
    pub(super) fn key(&self, table: &Table) -> &[Value] {
        &self.0[..table.key]
    }

    /// What tells the row from others, to people: the first column of the key, which is an id or a name.
    pub(super) fn name(&self) -> String {
        match self.0.first() {
            Some(Value::Text(Some(text))) => match text.char_indices().nth(SHOWN) {
                Some((end, _)) => format!("{}...", &text[..end]),
                None => text.clone(),
            },
            Some(Value::Int(Some(number))) => number.to_string(),
            _ => "?".into(),
        }
    }

    /// Whether a text has a NUL character, which not every database can hold.
    pub(super) fn has_nul(&self) -> bool {
        let has = |value: &Value| matches!(value, Value::Text(Some(text)) if text.contains('\0'));
        self.0.iter().any(has)
    }
}

impl TextBytes for Row {
    fn text_bytes(&self) -> usize {
        self.bytes()
    }
}

/// A statement whose parameters are these.
pub(super) fn statement<'v>(
    text: impl SqlSafeStr,
    values: impl IntoIterator<Item = &'v Value>,
) -> Statement {
    let statement = Statement::new(text);
    values
        .into_iter()
        .fold(statement, |statement, value| value.bind(statement))
}
