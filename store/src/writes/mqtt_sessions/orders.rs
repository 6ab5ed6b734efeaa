//! Orders of one process to another to end a session, and what processes that are gone have left.

use sqlx::Row as _;

use super::decide::Order;
use super::statements::{found, order, own_rows, remove_orders};
use crate::mqtt_sessions::{is_live, key};
use crate::statement::{Script, Statement};
use crate::writer::{Locks, Operation, Transaction};
use crate::{Departure, EndReason, ProcessId, SessionEnd, SessionKey, Store, StoreError, bulk};

/// How many sessions of processes that are gone are forgotten at once, so that no other write waits long.
const STEP: i64 = 256;

impl Store {
    /// Orders the process that has the session `key` to end it, if that is another one and is there. Returns which it is.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn order_session_end(
        &self,
        key: &SessionKey,
        reason: EndReason,
    ) -> Result<Option<ProcessId>, StoreError> {
        let (key, own) = (key.clone(), self.process().clone());
        self.write(OrderEnd { key, own, reason }).await
    }

    /// Writes down that this process has ended sessions as it was ordered to.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn sessions_ended(&self, ended: &[SessionEnd]) -> Result<(), StoreError> {
        let all = ended.iter().map(|end| Departure {
            key: end.key.clone(),
            number: end.number,
        });
        let (all, own) = (all.collect(), self.process().clone());
        self.write(Ended { all, own }).await
    }

    /// Forgets what is written down of processes that are gone, in steps. Returns of how many sessions it was.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be read or written. What was forgotten by then is.
    pub async fn forget_lost_sessions(&self) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        for table in ["mqtt_session_ends", "mqtt_sessions"] {
            loop {
                let text = format!(
                    "SELECT user_id, client_id, process FROM {table}
                     WHERE process NOT IN (SELECT process FROM nodes WHERE process IS NOT NULL)
                     ORDER BY user_id, client_id LIMIT $1"
                );
                let lost = self.readers().fetch_all(Statement::made(text).bind(STEP));
                let lost = lost.await?;
                let rows = lost.iter().map(|row| {
                    let process: String = row.try_get("process")?;
                    Ok((key(row)?, ProcessId::from_string(process)))
                });
                let rows = rows.collect::<Result<Vec<_>, StoreError>>()?;
                let is_last = rows.len() < STEP as usize;
                let gone = self.write(Forget { table, rows }).await?;
                if table == "mqtt_sessions" {
                    forgotten += gone;
                }
                if is_last || gone == 0 {
                    break;
                }
            }
        }
        Ok(forgotten)
    }
}

struct OrderEnd {
    key: SessionKey,
    own: ProcessId,
    reason: EndReason,
}

impl Operation for OrderEnd {
    type Output = Option<ProcessId>;

    const DURABLE: bool = false;

    fn lock(&self, locks: &mut Locks) {
        locks.inbox(&self.key.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Option<ProcessId>, StoreError> {
        let text = format!(
            "SELECT s.process, s.number FROM mqtt_sessions s
             WHERE s.user_id = $1 AND s.client_id = $2 AND s.process <> $3 AND {} = 1",
            is_live(tx.dialect(), "s")
        );
        let read = Statement::made(text).bind(self.key.user.as_str());
        let read = read.bind(&*self.key.client_id).bind(self.own.as_str());
        let mut script = Script::default();
        let part = script.add(read);
        let results = tx.run(script).await?;
        let Some(row) = results.rows(&part).next() else {
            return Ok(None);
        };
        let process = ProcessId::from_string(row.try_get::<String, _>("process")?);
        let orders = [Order {
            key: self.key.clone(),
            process: process.clone(),
            number: row.try_get("number")?,
            reason: self.reason,
        }];
        let mut script = Script::default();
        script.add_all(order(&orders, tx.dialect()));
        tx.defer(script).await?;
        Ok(Some(process))
    }
}

struct Ended {
    all: Vec<Departure>,
    own: ProcessId,
}

impl Operation for Ended {
    type Output = ();

    const DURABLE: bool = false;

    fn lock(&self, locks: &mut Locks) {
        super::lock(&self.all, locks);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let mut script = Script::default();
        let part = script.add_all(own_rows("mqtt_session_ends", &self.all, &self.own));
        let results = tx.run(script).await?;
        let keys = found(&self.all, results.rows(&part))?;
        let mut script = Script::default();
        script.add_all(remove_orders(&keys, &self.own, tx.dialect()));
        tx.defer(script).await
    }
}

/// One step of forgetting what processes that are gone have left.
struct Forget {
    table: &'static str,
    rows: Vec<(SessionKey, ProcessId)>,
}

impl Operation for Forget {
    type Output = u64;

    const DURABLE: bool = false;

    fn lock(&self, locks: &mut Locks) {
        for (key, _) in &self.rows {
            locks.inbox(&key.user);
        }
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<u64, StoreError> {
        let dialect = tx.dialect();
        let forget = |rows| {
            let delete = dialect.delete_by_key(self.table);
            let keys = bulk::keys(dialect, rows, 3, 1);
            Statement::made(format!(
                "{delete} WHERE (user_id, client_id, process) IN ({keys})
                    AND process NOT IN (SELECT process FROM nodes WHERE process IS NOT NULL)"
            ))
        };
        let mut script = Script::default();
        let all = bulk::for_each(&self.rows, forget, |statement, row| {
            let key = row.map(|(key, _)| key);
            let statement = statement.bind(key.map(|key| key.user.as_str()));
            let statement = statement.bind(key.map(|key| &*key.client_id));
            statement.bind(row.map(|(_, process)| process.as_str()))
        });
        let part = script.add_all(all);
        Ok(tx.run(script).await?.changed(&part))
    }
}
