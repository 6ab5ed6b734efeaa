//! Counts of messages that have come to be wrong.
//!
//! Where no trigger counts them, a statement by hand is not counted: see decision 0088.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::counts::Counts;
use crate::dialect::Dialect;
use crate::statement::{Script, Statement};
use crate::writer::{Operation, Transaction};
use crate::{Status, Store, StoreError};

/// How often counts were mended, in a row of its own: of two servers that have found the same difference, one writes it.
const MENDED: &str = "SELECT value FROM counters WHERE name = 'counts_mended'";

/// By how much what is counted of each status is too little, and [`MENDED`]. In one statement, so that all of it is as it was at one
/// moment: whoever changes messages commits what is counted with them. Reads one index from end to end.
fn difference(dialect: Dialect) -> Statement {
    let (index, integer) = (dialect.by_status_time(), dialect.integer());
    Statement::made(format!(
        "SELECT status, CAST(SUM(count) AS {integer}) AS difference, COALESCE(({MENDED}), 0) AS mended
         FROM (SELECT status, COUNT(*) AS count FROM messages{index} GROUP BY status
            UNION ALL SELECT status, -count FROM message_counts) AS counted
         GROUP BY status HAVING SUM(count) <> 0"
    ))
}

impl Store {
    /// Compares how many messages there are of each status with what is counted, and mends that. Returns how much it was off, in
    /// all. Does nothing where the database counts by itself.
    ///
    /// Takes as long as it takes to count all messages, which nobody waits for; a database that takes longer than a read may take
    /// is left as it is.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read in time, or written.
    pub async fn mend_counts(&self) -> Result<u64, StoreError> {
        let dialect = self.readers().dialect();
        if dialect != Dialect::MySql {
            return Ok(0);
        }
        let rows = self.readers().fetch_all(difference(dialect)).await?;
        let Some(first) = rows.first() else {
            return Ok(0);
        };
        let mended = first.try_get("mended")?;
        let read = |row: &AnyRow| {
            let status = Status::from_column(row.try_get("status")?)?;
            Ok((status, row.try_get("difference")?))
        };
        let more = rows.iter().map(read).collect::<Result<_, StoreError>>()?;
        self.write(Mend { more, mended }).await
    }
}

struct Mend {
    /// How many messages more there are of a status than are counted.
    more: Vec<(Status, i64)>,
    /// How often counts were mended when that was so.
    mended: i64,
}

impl Operation for Mend {
    /// How much was mended.
    type Output = u64;

    /// What is lost is found again.
    const DURABLE: bool = false;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<u64, StoreError> {
        let make =
            Statement::new("INSERT IGNORE INTO counters (name, value) VALUES ('counts_mended', 0)");
        let take = Statement::new(
            "UPDATE counters SET value = value + 1 WHERE name = 'counts_mended' AND value = $1",
        );
        let mut script = Script::default();
        script.add(make);
        let taken = script.add(take.bind(self.mended));
        // Another server has mended them since.
        if tx.run(script).await?.changed(&taken) == 0 {
            return Ok(0);
        }
        let mut counts = Counts::default();
        for (status, more) in &self.more {
            counts.moved(None, Some(*status), *more);
        }
        tx.count(&counts);
        Ok(self.more.iter().map(|(_, more)| more.unsigned_abs()).sum())
    }
}
