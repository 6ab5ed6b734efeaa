//! The statements that are run, as sqlx logs them.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What sqlx logs statements as.
const TARGET: &str = "sqlx::query";

/// What does not read a table.
const OTHERS: [&str; 7] = [
    "PRAGMA",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT",
    "RELEASE",
    "CREATE",
];

/// The log of the whole process, as statements are run by threads of their own.
pub(crate) fn log() -> Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    let start = || {
        let log = Log::default();
        tracing::subscriber::set_global_default(log.clone()).unwrap();
        log
    };
    LOG.get_or_init(start).clone()
}

/// What was run.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<BTreeSet<String>>>);

impl Log {
    /// The statements that were run since it was last asked.
    pub(crate) fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut statement = Statement::default();
        event.record(&mut statement);
        // Those of a phase share a text.
        for sql in statement.sql().split(";\n").map(str::trim) {
            let reads = !OTHERS.iter().any(|other| sql.starts_with(other));
            if reads && !sql.contains("_sqlx_migrations") && !sql.is_empty() {
                self.0.lock().unwrap().insert(sql.to_owned());
            }
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The numbers of the parameters of a statement, as they follow one another.
pub(crate) fn parameters(sql: &str) -> Vec<usize> {
    // What is quoted is between two quotes.
    let unquoted = sql.split('\'').step_by(2);
    let parts = unquoted.flat_map(|part| part.split('$').skip(1));
    let digits = |part: &str| {
        part.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
    };
    parts.map(|part| digits(part).parse().unwrap()).collect()
}

/// A short one is its summary.
#[derive(Default)]
struct Statement {
    summary: String,
    whole: String,
}

impl Statement {
    fn sql(&self) -> &str {
        match self.whole.trim() {
            "" => self.summary.trim(),
            whole => whole,
        }
    }
}

impl Visit for Statement {
    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => {}
        }
    }
}
