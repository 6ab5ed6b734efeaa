//! Changes of rights, for servers that hold live sessions and rules in memory.

use std::time::Duration;

use herald_acl::Username;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::credential_cache::CURRENT;
use crate::statement::Statement;
use crate::{Changed, Moment, RightsChange, Store, StoreError};

/// How many changes are kept. A server reads them several times a second.
pub(crate) const KEPT: i64 = 100_000;

/// The number of the newest change.
pub(crate) const LAST: &str = "SELECT value FROM counters WHERE name = 'rights'";

impl Store {
    /// For how long what another process ends may still be [known](Self::known_token) here.
    pub const REMEMBERS_RIGHTS: Duration = CURRENT;

    /// The changes of rights after the number `after`, in order. Made by whatever process has the
    /// database open. While these are asked for several times a second, sessions and tokens are [remembered](Self::known_token).
    ///
    /// # Errors
    ///
    /// [`StoreError::RightsForgotten`] if some of them are not kept any more, or the database has lost some that were known, as
    /// after a failover to an older state; another [`StoreError`] if it cannot be read.
    pub async fn rights_changes(&self, after: i64) -> Result<Vec<RightsChange>, StoreError> {
        let asked = Moment::now();
        let changes = self.read_rights_changes(after).await;
        match &changes {
            Ok(changes) => self.credentials().follow(after, changes, asked),
            Err(StoreError::RightsForgotten) => self.credentials().stop(),
            Err(_) => {}
        }
        changes
    }

    /// The changes of rights are not followed any more: nothing is [known](Self::known_token) without a read from now on.
    pub fn stop_following_rights(&self) {
        self.credentials().stop();
    }

    async fn read_rights_changes(&self, after: i64) -> Result<Vec<RightsChange>, StoreError> {
        let changes = Statement::new(
            "SELECT last.value AS last, r.id, r.kind, r.username, r.token_id
             FROM counters last LEFT JOIN rights_changes r ON r.id > $1
             WHERE last.name = 'rights' ORDER BY r.id",
        );
        let rows = self.readers().fetch_all(changes.bind(after)).await?;
        let Some(first) = rows.first() else {
            return Err(StoreError::RightsForgotten);
        };
        let (last, next): (i64, Option<i64>) = (first.try_get("last")?, first.try_get("id")?);
        if last < after || next.is_some_and(|next| next > after + 1) {
            return Err(StoreError::RightsForgotten);
        }
        match next {
            Some(_) => rows.iter().map(change).collect(),
            None => Ok(vec![]),
        }
    }

    /// The number of the newest change of rights; 0 before the first.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn last_rights_change(&self) -> Result<i64, StoreError> {
        let last = self.readers().fetch_one(Statement::new(LAST)).await?;
        Ok(last.try_get("value")?)
    }
}

fn change(row: &AnyRow) -> Result<RightsChange, StoreError> {
    let invalid = || StoreError::Invalid {
        what: "change of rights",
    };
    let username = || -> Result<Username, StoreError> {
        let name: Option<&str> = row.try_get("username")?;
        Username::parse(name.ok_or_else(invalid)?).map_err(|_| invalid())
    };
    let changed = match row.try_get("kind")? {
        "policy" => Changed::Policy,
        "user" => Changed::User(username()?),
        "password" => Changed::Password(username()?),
        "token" => Changed::Credential {
            owner: username()?,
            id: row.try_get("token_id")?,
        },
        "forgotten" => Changed::Forgotten(username()?),
        _ => return Err(invalid()),
    };
    Ok(RightsChange {
        id: row.try_get("id")?,
        changed,
    })
}
