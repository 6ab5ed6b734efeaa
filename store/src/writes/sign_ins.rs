//! Sign-ins that failed, and those that were right.

use std::collections::BTreeMap;

use sqlx::Row as _;

use crate::bulk::{RowsInsert, TextBytes};
use crate::dialect::Dialect;
use crate::statement::{Script, Statement};
use crate::writer::{Operation, Transaction};
use crate::{SIGN_IN_WINDOW, SignInKey, Store, StoreError, Timestamp, bulk};

const INSERT: RowsInsert = RowsInsert {
    table: "sign_ins",
    columns: &["sign_in_key", "failures", "ends_at"],
    given: "sign_in_key",
    fixed: None,
};

/// How many are forgotten at once, so that no other write waits long.
const STEP: i64 = 256;

impl Store {
    /// Counts a sign-in that failed at `now` by all of `keys`, for [`SIGN_IN_WINDOW`] from the first one. Does nothing on a file,
    /// whose one server counts in memory.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn count_failed_sign_in(
        &self,
        keys: Vec<SignInKey>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.count_sign_ins(keys, 1, now + SIGN_IN_WINDOW).await
    }

    /// Notes that a sign-in was right, until when that counts. Does nothing on a file.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn note_right_sign_in(
        &self,
        key: SignInKey,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        self.count_sign_ins(vec![key], 0, until).await
    }

    /// Forgets what does not count any more at `now`, and of the failures and of the right ones those that end first beyond
    /// `most` of each. Returns how many keys.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read or written. What is left is forgotten by the next call.
    pub async fn forget_sign_ins(&self, now: Timestamp, most: u64) -> Result<u64, StoreError> {
        if self.is_exclusive() {
            return Ok(0);
        }
        let failed = self.forget_those("failures > 0", now, most).await?;
        Ok(failed + self.forget_those("failures = 0", now, most).await?)
    }

    async fn forget_those(
        &self,
        which: &str,
        now: Timestamp,
        most: u64,
    ) -> Result<u64, StoreError> {
        let count = format!("SELECT COUNT(*) AS kept FROM sign_ins WHERE {which}");
        let row = self.readers().fetch_one(Statement::made(count)).await?;
        let kept = u64::try_from(row.try_get::<i64, _>("kept")?).unwrap_or(0);
        let (mut too_many, mut forgotten) = (kept.saturating_sub(most), 0);
        loop {
            let first = format!(
                "SELECT sign_in_key, ends_at FROM sign_ins WHERE {which} ORDER BY ends_at LIMIT $1"
            );
            let rows = Statement::made(first).bind(STEP);
            let rows = self.readers().fetch_all(rows).await?;
            let (mut keys, mut until) = (vec![], now.as_millis());
            for (place, row) in (0..).zip(&rows) {
                let ends_at: i64 = row.try_get("ends_at")?;
                if ends_at > now.as_millis() && place >= too_many {
                    break;
                }
                until = until.max(ends_at);
                keys.push(SignInKey::from_text(row.try_get("sign_in_key")?));
            }
            let step = match keys.is_empty() {
                true => 0,
                false => self.write(Forget { keys, until }).await?,
            };
            // What another server has locked is forgotten another time.
            if step == 0 {
                return Ok(forgotten);
            }
            too_many = too_many.saturating_sub(step);
            forgotten += step;
        }
    }

    async fn count_sign_ins(
        &self,
        keys: Vec<SignInKey>,
        failures: i64,
        ends_at: Timestamp,
    ) -> Result<(), StoreError> {
        if self.is_exclusive() {
            return Ok(());
        }
        let count = Count {
            keys,
            failures,
            ends_at: ends_at.as_millis(),
        };
        self.write(count).await
    }
}

struct Count {
    keys: Vec<SignInKey>,
    failures: i64,
    ends_at: i64,
}

impl Operation for Count {
    type Output = ();

    const DURABLE: bool = false;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        Self::run_all(&[self], tx).await?;
        Ok(())
    }

    /// One row for each key, in the order of the keys: so servers do not lock them the other way round.
    async fn run_all(all: &[&Self], tx: &mut Transaction<'_>) -> Result<Vec<()>, StoreError> {
        let mut rows: BTreeMap<&SignInKey, (i64, i64)> = BTreeMap::new();
        for count in all {
            for key in &count.keys {
                let row = rows.entry(key).or_default();
                *row = (row.0 + count.failures, row.1.max(count.ends_at));
            }
        }
        let rows: Vec<Row> = rows.into_iter().collect();
        let again = again(tx.dialect());
        let insert = INSERT.statements(tx.dialect(), &rows, &again, |statement, row| {
            statement
                .bind(row.map(|(key, _)| key.as_str()))
                .bind(row.map(|(_, (failures, _))| *failures))
                .bind(row.map(|(_, (_, ends_at))| *ends_at))
        });
        let mut script = Script::default();
        script.add_all(insert);
        tx.defer(script).await?;
        Ok(vec![(); all.len()])
    }
}

/// A key, with the failures to be added and until when they count if there are none yet.
type Row<'a> = (&'a SignInKey, (i64, i64));

impl TextBytes for Row<'_> {
    fn text_bytes(&self) -> usize {
        self.0.as_str().len()
    }
}

/// What is there counts on, with its end, if that has not passed.
fn again(dialect: Dialect) -> String {
    let (start, failures, ends_at) = match dialect {
        Dialect::Sqlite | Dialect::Postgres => (
            "ON CONFLICT (sign_in_key) DO UPDATE SET",
            "excluded.failures",
            "excluded.ends_at",
        ),
        Dialect::MySql => (
            "ON DUPLICATE KEY UPDATE",
            "VALUES(failures)",
            "VALUES(ends_at)",
        ),
    };
    let window = SIGN_IN_WINDOW.as_millis();
    // Nothing counts for longer than what is new does: the clock was wrong then.
    let counts =
        format!("sign_ins.ends_at > {ends_at} - {window} AND sign_ins.ends_at <= {ends_at}");
    // In this order: MySQL takes the new end for all that follows.
    format!(
        "{start} failures = {failures} + CASE WHEN {counts} THEN sign_ins.failures ELSE 0 END,
         ends_at = CASE WHEN {counts} THEN sign_ins.ends_at ELSE {ends_at} END"
    )
}

struct Forget {
    keys: Vec<SignInKey>,
    /// Those that have begun anew since they were read stay.
    until: i64,
}

impl Operation for Forget {
    type Output = u64;

    const DURABLE: bool = false;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<u64, StoreError> {
        let (dialect, until) = (tx.dialect(), self.until);
        let start = |count| {
            let which = format!(
                "ends_at <= $1 AND sign_in_key IN ({})",
                bulk::list(count, 2)
            );
            Statement::made(match dialect {
                // Never in the way of who counts, whatever else is in the transaction.
                Dialect::Postgres => format!(
                    "DELETE FROM sign_ins WHERE sign_in_key IN (
                         SELECT sign_in_key FROM sign_ins WHERE {which} ORDER BY sign_in_key FOR UPDATE SKIP LOCKED)"
                ),
                Dialect::Sqlite | Dialect::MySql => {
                    format!("{} WHERE {which}", dialect.delete_by_key("sign_ins"))
                }
            })
            .bind(until)
        };
        let mut script = Script::default();
        let forget = bulk::for_each(&self.keys, start, |statement, key| {
            statement.bind(key.map(SignInKey::as_str))
        });
        let forget = script.add_all(forget);
        let results = tx.run(script).await?;
        Ok(results.changed(&forget))
    }
}
