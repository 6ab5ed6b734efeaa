//! Statements as values, so that several can be handed to the database at once.

use std::ops::Range;

use futures_util::TryStreamExt as _;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{
    Any, AnyConnection, Arguments as _, AssertSqlSafe, Either, Encode, Execute, Executor as _,
    SqlSafeStr, Type,
};

use crate::StoreError;
use crate::dialect::{Dialect, push_with_question_marks};

/// A statement with its parameters.
pub(crate) struct Statement(pub(crate) Query<'static, Any, AnyArguments>);

impl Statement {
    /// A statement whose parameters are `$1`, `$2`, ...
    pub(crate) fn new(text: impl SqlSafeStr) -> Self {
        Self(sqlx::query(text))
    }

    /// A statement that was put together from texts of this crate. Everything else is bound.
    pub(crate) fn made(text: String) -> Self {
        Self::new(AssertSqlSafe(text))
    }

    /// Binds the next parameter.
    pub(crate) fn bind<'t, T: Encode<'t, Any> + Type<Any>>(self, value: T) -> Self {
        Self(self.0.bind(value))
    }

    /// Does not keep it prepared, as its text is seldom the same.
    pub(crate) fn once(self) -> Self {
        Self(self.0.persistent(false))
    }

    /// What a connection to such a database runs.
    pub(crate) fn query(
        self,
        dialect: Dialect,
    ) -> Result<Query<'static, Any, AnyArguments>, sqlx::Error> {
        let Self(mut query) = self;
        if dialect != Dialect::MySql {
            return Ok(query);
        }
        let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?;
        let persistent = Execute::persistent(&query);
        let text = dialect.text(query.sql(), persistent);
        let query = sqlx::query_with(text, arguments.unwrap_or_default());
        Ok(query.persistent(persistent))
    }

    /// Binds the next parameters.
    pub(crate) fn bind_all<'t, T: Encode<'t, Any> + Type<Any>>(
        self,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        values.into_iter().fold(self, Self::bind)
    }
}

/// Statements with more parameters than this are handed over alone: the text of what is handed over together is to be one of few,
/// as each is prepared once.
const MANY: usize = 256;

/// More of them than this are not kept prepared.
const FEW: usize = 16;

/// Runs statements in SQLite, as many at once as can be.
pub(crate) async fn run_joined(
    conn: &mut AnyConnection,
    script: Script,
) -> Result<Results, StoreError> {
    let mut results = Vec::with_capacity(script.0.len());
    let mut joined = Joined::default();
    for statement in script.0 {
        let Statement(mut query) = statement;
        let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?;
        let arguments = arguments.unwrap_or_default();
        if joined.count > 0 && joined.arguments.len() + arguments.len() > MANY {
            std::mem::take(&mut joined).run(conn, &mut results).await?;
        }
        joined.add(query, arguments);
    }
    if joined.count > 0 {
        joined.run(conn, &mut results).await?;
    }
    Ok(Results(results))
}

/// Statements in one text.
#[derive(Default)]
struct Joined {
    text: String,
    arguments: AnyArguments,
    count: usize,
    /// Whether one of them is seldom the same.
    is_once: bool,
}

impl Joined {
    /// Adds one. Question marks are bound in their order through all of the text, and are not looked for by their names.
    fn add(&mut self, query: Query<'static, Any, AnyArguments>, mut arguments: AnyArguments) {
        if self.count > 0 {
            self.text.push_str(";\n");
        }
        self.is_once |= !Execute::persistent(&query);
        push_with_question_marks(&mut self.text, query.sql().as_str());
        self.arguments.values.0.append(&mut arguments.values.0);
        self.count += 1;
    }

    /// Runs them until one fails, and adds what each returned.
    async fn run(
        self,
        conn: &mut AnyConnection,
        results: &mut Vec<StatementResult>,
    ) -> Result<(), StoreError> {
        let wanted = results.len() + self.count;
        let query = sqlx::query_with(AssertSqlSafe(self.text), self.arguments);
        let is_kept = !self.is_once && self.count <= FEW;
        let mut stream = conn.fetch_many(query.persistent(is_kept));
        let mut result = StatementResult::default();
        while let Some(one) = stream.try_next().await? {
            match one {
                Either::Left(done) => {
                    result.changed = done.rows_affected();
                    results.push(std::mem::take(&mut result));
                }
                Either::Right(row) => result.rows.push(row),
            }
        }
        debug_assert!(results.len() <= wanted, "a statement is no single one");
        if results.len() < wanted {
            // Its thread has ended.
            return Err(sqlx::Error::WorkerCrashed.into());
        }
        Ok(())
    }
}

/// Statements that are run one after the other: one phase of an operation.
#[derive(Default)]
pub(crate) struct Script(pub(crate) Vec<Statement>);

impl Script {
    /// Adds a statement.
    pub(crate) fn add(&mut self, statement: Statement) -> Part {
        self.add_all([statement])
    }

    /// Adds statements whose results belong together.
    pub(crate) fn add_all(&mut self, statements: impl IntoIterator<Item = Statement>) -> Part {
        let start = self.0.len();
        self.0.extend(statements);
        Part(start..self.0.len())
    }
}

/// Which statements of a script.
#[derive(Debug, Clone)]
pub(crate) struct Part(Range<usize>);

/// What a script returned.
pub(crate) struct Results(pub(crate) Vec<StatementResult>);

/// What a statement returned.
#[derive(Default)]
pub(crate) struct StatementResult {
    /// Its rows.
    pub(crate) rows: Vec<AnyRow>,
    /// How many rows it changed.
    pub(crate) changed: u64,
}

/// Fails with [`StoreError::Conflict`] unless as many rows were changed as it was decided that are: others have changed some
/// since they were read. Nothing of the transaction is kept then, and it is decided anew.
pub(crate) fn all_changed(changed: usize, decided: usize) -> Result<(), StoreError> {
    if changed == decided {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}

impl Results {
    /// The rows of a part.
    pub(crate) fn rows(&self, part: &Part) -> impl Iterator<Item = &AnyRow> {
        self.0[part.0.clone()].iter().flat_map(|one| &one.rows)
    }

    /// How many rows a part changed.
    pub(crate) fn changed(&self, part: &Part) -> u64 {
        self.0[part.0.clone()].iter().map(|one| one.changed).sum()
    }

    /// Fails unless a part changed as many rows as were to change: see [`all_changed`].
    pub(crate) fn changed_all(&self, part: &Part, decided: usize) -> Result<(), StoreError> {
        all_changed(self.changed(part) as usize, decided)
    }
}
