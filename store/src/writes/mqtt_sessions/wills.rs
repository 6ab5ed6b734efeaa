//! Wills, written down so that others can publish them. Whoever does claims it before: it is there once.

use herald_acl::Role;
use sqlx::Row as _;

use super::statements::{found, own_rows, remove};
use crate::bulk::RowsUpdate;
use crate::mqtt_sessions::is_live;
use crate::statement::{Script, Statement};
use crate::writer::{Locks, Operation, Transaction};
use crate::{Departure, ProcessId, SessionKey, Store, StoreError, Timestamp};

/// How many wills are forgotten at once, so that no other write waits long.
const STEP: i64 = 256;

const GONE: RowsUpdate = RowsUpdate {
    table: "mqtt_wills",
    rows: (
        "gone",
        &["owner", "its_client_id", "its_process", "up_to", "since"],
    ),
    set: &[("gone_at", "since")],
    matches: "user_id = owner AND client_id = its_client_id AND process = its_process AND number <= up_to",
};

/// A will that is this process's to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedWill {
    /// Whose it is.
    pub username: String,
    /// What that user may do.
    pub role: Role,
    /// The token that the client signed in with; `None`: the password.
    pub token_id: Option<String>,
    /// Where its connection came from.
    pub peer: Option<String>,
    /// See [`MqttWill::text`](crate::MqttWill::text).
    pub text: String,
}

impl Store {
    /// Claims a will of this process, up to the takeover with this number, or of the process `of`, of exactly that takeover, if
    /// that process is not there any more. `None`: another one has it, its client is back, or has lost the right to be here.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn claim_will(
        &self,
        key: &SessionKey,
        number: i64,
        of: Option<&ProcessId>,
    ) -> Result<Option<ClaimedWill>, StoreError> {
        let (is_own, process) = (of.is_none(), of.unwrap_or_else(|| self.process()));
        let claim = Claim {
            key: key.clone(),
            number,
            process: process.clone(),
            is_own,
        };
        self.write(claim).await
    }

    /// Writes down that the clients of these sessions of this process have gone: their wills wait from now on.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn wills_wait(&self, all: Vec<Departure>) -> Result<(), StoreError> {
        let own = self.process().clone();
        let since = Timestamp::now();
        self.write(Wait { all, own, since }).await
    }

    /// Writes down that the wills of these sessions of this process are published, or are not to be.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn settle_wills(&self, all: Vec<Departure>) -> Result<(), StoreError> {
        let own = self.process().clone();
        self.write(Settle { all, own }).await
    }

    /// Forgets, in steps, the wills of this process which do not wait: it stops, and that is no reason to publish them.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be read or written. What was forgotten by then is.
    pub async fn forget_own_wills(&self) -> Result<(), StoreError> {
        loop {
            let own = Statement::new(
                "SELECT user_id, client_id, number FROM mqtt_wills WHERE process = $1 AND gone_at IS NULL
                 ORDER BY user_id, client_id LIMIT $2",
            );
            let own = own.bind(self.process().as_str()).bind(STEP);
            let rows = self.readers().fetch_all(own).await?;
            let rows = rows.iter().map(|row| {
                Ok(Departure {
                    key: crate::mqtt_sessions::key(row)?,
                    number: row.try_get("number")?,
                })
            });
            let all = rows.collect::<Result<Vec<_>, StoreError>>()?;
            let is_last = all.len() < STEP as usize;
            if !all.is_empty() {
                self.settle_wills(all).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

struct Claim {
    key: SessionKey,
    number: i64,
    process: ProcessId,
    is_own: bool,
}

impl Operation for Claim {
    type Output = Option<ClaimedWill>;

    /// After a power failure, it may be published again.
    const DURABLE: bool = false;

    fn lock(&self, locks: &mut Locks) {
        locks.inbox(&self.key.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Option<ClaimedWill>, StoreError> {
        // What was changed after the client had signed in may have ended its right to be here.
        let text = format!(
            "SELECT w.process, w.number, w.token_id, w.peer, w.will, u.username, u.role, {} AS is_live,
                CASE WHEN u.disabled = 0 AND u.closed = 0 AND NOT EXISTS (SELECT 1 FROM rights_changes r
                        WHERE r.id > w.rights AND r.username = u.username
                        AND (r.kind = 'user' OR (r.kind = 'password' AND w.token_id IS NULL) OR r.token_id = w.token_id))
                    THEN CAST(1 AS {integer}) ELSE CAST(0 AS {integer}) END AS is_allowed
             FROM mqtt_wills w LEFT JOIN users u ON u.id = w.user_id
             WHERE w.user_id = $1 AND w.client_id = $2",
            is_live(tx.dialect(), "w"),
            integer = tx.dialect().integer()
        );
        let read = Statement::made(text).bind(self.key.user.as_str());
        let mut script = Script::default();
        let part = script.add(read.bind(&*self.key.client_id));
        let results = tx.run(script).await?;
        let Some(row) = results.rows(&part).next() else {
            return Ok(None);
        };
        let (process, number): (String, i64) = (row.try_get("process")?, row.try_get("number")?);
        let is_live = row.try_get::<i64, _>("is_live")? == 1;
        let is_it = match self.is_own {
            true => number <= self.number,
            false => number == self.number && !is_live,
        };
        if process != self.process.as_str() || !is_it {
            return Ok(None);
        }
        let claimed = match row.try_get::<i64, _>("is_allowed")? {
            1 => Some(ClaimedWill {
                username: row.try_get("username")?,
                role: row
                    .try_get::<&str, _>("role")?
                    .parse()
                    .map_err(|_| StoreError::Invalid { what: "role" })?,
                token_id: row.try_get("token_id")?,
                peer: row.try_get("peer")?,
                text: row.try_get("will")?,
            }),
            _ => None,
        };
        let mut script = Script::default();
        script.add_all(remove(
            "mqtt_wills",
            std::slice::from_ref(&self.key),
            tx.dialect(),
        ));
        tx.defer(script).await?;
        Ok(claimed)
    }
}

struct Wait {
    all: Vec<Departure>,
    own: ProcessId,
    since: Timestamp,
}

impl Operation for Wait {
    type Output = ();

    const DURABLE: bool = false;

    fn lock(&self, locks: &mut Locks) {
        super::lock(&self.all, locks);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let mut script = Script::default();
        script.add_all(GONE.statements(tx.dialect(), &self.all, |statement, one| {
            statement
                .bind(one.map(|one| one.key.user.as_str()))
                .bind(one.map(|one| &*one.key.client_id))
                .bind(one.map(|_| self.own.as_str()))
                .bind(one.map(|one| one.number))
                .bind(one.map(|_| self.since.as_millis()))
        }));
        tx.defer(script).await
    }
}

struct Settle {
    all: Vec<Departure>,
    own: ProcessId,
}

impl Operation for Settle {
    type Output = ();

    const DURABLE: bool = false;

    fn lock(&self, locks: &mut Locks) {
        super::lock(&self.all, locks);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let mut script = Script::default();
        let part = script.add_all(own_rows("mqtt_wills", &self.all, &self.own));
        let results = tx.run(script).await?;
        let keys = found(&self.all, results.rows(&part))?;
        let mut script = Script::default();
        script.add_all(remove("mqtt_wills", &keys, tx.dialect()));
        tx.defer(script).await
    }
}
