//! PostgreSQL: what a server has to be, and why it refuses.

use sqlx::postgres::PgDatabaseError;
use sqlx::{AnyConnection, Connection as _, Executor as _, Row as _};

use crate::{Refusal, ServerFacts};

/// The least version, as `server_version_num` has it.
const LEAST: i64 = 150_000;
const LEAST_NAME: &str = "PostgreSQL 15";

/// What is to be known of a server.
const LOOK: &str = "SELECT CAST(current_setting('server_version_num') AS BIGINT) AS version,
    current_setting('server_version') AS version_name,
    current_setting('server_encoding') AS encoding,
    CAST(CAST(pg_is_in_recovery() AS INT) AS BIGINT) AS standby,
    current_setting('default_transaction_read_only') AS read_only,
    current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('synchronous_standby_names') AS standbys,
    CAST(CAST(COALESCE(has_schema_privilege(current_schema(), 'CREATE'), FALSE)
        OR to_regclass('_sqlx_migrations') IS NOT NULL AS INT) AS BIGINT) AS may_create";

/// A server as it is.
#[derive(Debug, Clone)]
pub(super) struct Found {
    version: i64,
    version_name: String,
    encoding: String,
    is_standby: bool,
    read_only: String,
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
    standbys: String,
    may_create: bool,
}

/// Asks the server what it is.
pub(super) async fn look(conn: &mut AnyConnection) -> Result<Found, sqlx::Error> {
    let row = conn.fetch_one(LOOK).await?;
    Ok(Found {
        version: row.try_get("version")?,
        version_name: row.try_get("version_name")?,
        encoding: row.try_get("encoding")?,
        is_standby: row.try_get::<i64, _>("standby")? != 0,
        read_only: row.try_get("read_only")?,
        fsync: row.try_get("fsync")?,
        full_page_writes: row.try_get("full_page_writes")?,
        synchronous_commit: row.try_get("synchronous_commit")?,
        standbys: row.try_get("standbys")?,
        may_create: row.try_get::<i64, _>("may_create")? != 0,
    })
}

impl Found {
    /// Whether it can be used by `user`.
    pub(super) fn judge(self, user: &str) -> Result<ServerFacts, Refusal> {
        let version = format!("PostgreSQL {}", self.version_name);
        if self.version < LEAST {
            return Err(Refusal::TooOld {
                found: version,
                least: LEAST_NAME,
            });
        }
        if self.is_standby {
            return Err(Refusal::Standby);
        }
        if self.read_only == "on" {
            return Err(Refusal::ReadOnly);
        }
        if self.encoding != "UTF8" {
            return Err(Refusal::Encoding {
                found: self.encoding,
            });
        }
        if !self.may_create {
            return Err(Refusal::NoRights {
                user: user.to_owned(),
                reason: "it cannot create tables".into(),
            });
        }
        Ok(ServerFacts {
            version,
            warnings: self.warnings(),
        })
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = vec![];
        for (name, value) in [
            ("fsync", &self.fsync),
            ("full_page_writes", &self.full_page_writes),
        ] {
            if value == "off" {
                warnings.push(format!(
                    "{name} is off on the database server: if its machine fails, what was sent may be lost or the database be \
                     damaged; turn it on"
                ));
            }
        }
        // `off` is set to `on` by each connection that writes.
        let is_weak = ["local", "remote_write"].contains(&self.synchronous_commit.as_str());
        if is_weak && !self.standbys.is_empty() {
            warnings.push(format!(
                "synchronous_commit is {} on the database server: what was sent may be lost in a failover to a standby; set it to \
                 on for this user or database",
                self.synchronous_commit
            ));
        }
        warnings
    }
}

/// Whether what is between gives each transaction any connection that is free: then what one client set is there for
/// another, and a client does not keep its connection while another is in a transaction.
pub(super) async fn is_pooled(
    one: &mut AnyConnection,
    other: &mut AnyConnection,
) -> Result<bool, sqlx::Error> {
    const MARK: &str =
        "SELECT set_config('herald.mark', $1, false), CAST(pg_backend_pid() AS BIGINT)";
    const READ: &str = "SELECT COALESCE(current_setting('herald.mark', true), ''), CAST(pg_backend_pid() AS BIGINT)";
    let mark = uuid::Uuid::now_v7().to_string();
    let (_, mine): (String, i64) = sqlx::query_as(MARK)
        .bind(mark.as_str())
        .persistent(false)
        .fetch_one(&mut *one)
        .await?;
    // In a transaction, so that it keeps what it was given.
    let mut held = other.begin().await?;
    let (theirs, pid): (String, i64) = sqlx::query_as(READ)
        .persistent(false)
        .fetch_one(&mut *held)
        .await?;
    let (still, later): (String, i64) = sqlx::query_as(READ)
        .persistent(false)
        .fetch_one(&mut *one)
        .await?;
    held.rollback().await?;
    Ok(theirs == mark || pid == mine || still != mark || later != mine)
}

/// Why the server refuses, if that is what the error says.
pub(super) fn refusal(error: &sqlx::Error, user: &str) -> Option<Refusal> {
    let error = error.as_database_error()?;
    let error = error.try_downcast_ref::<PgDatabaseError>()?;
    let reason = || error.message().to_owned();
    match error.code() {
        "28P01" => Some(Refusal::WrongPassword { user: user.into() }),
        "28000" => Some(Refusal::NotAllowed { reason: reason() }),
        "3D000" => Some(Refusal::NoDatabase),
        // Also for a schema that is not there.
        "42501" | "3F000" => Some(Refusal::NoRights {
            user: user.into(),
            reason: reason(),
        }),
        "25006" => Some(Refusal::ReadOnly),
        // A pooler knows fewer than the server, and in statement mode has no transactions.
        "08P01" if error.message().contains("startup parameter") => Some(Refusal::Pooler),
        "08P01" if error.message().contains("pooling mode") => Some(Refusal::Pooler),
        // What pgbouncer says of a prepared statement that another client's connection has, or lacks.
        "26000" | "42P05" => Some(Refusal::Pooler),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        Found {
            version: 150_018,
            version_name: "15.18".into(),
            encoding: "UTF8".into(),
            is_standby: false,
            read_only: "off".into(),
            fsync: "on".into(),
            full_page_writes: "on".into(),
            synchronous_commit: "on".into(),
            standbys: String::new(),
            may_create: true,
        }
    }

    fn refused(change: impl FnOnce(&mut Found)) -> Refusal {
        let mut found = found();
        change(&mut found);
        found.judge("me").unwrap_err()
    }

    fn warned(change: impl FnOnce(&mut Found)) -> Vec<String> {
        let mut found = found();
        change(&mut found);
        found.judge("me").unwrap().warnings
    }

    #[test]
    fn a_server_that_serves_is_taken_and_others_are_not() {
        let facts = found().judge("me").unwrap();
        assert_eq!(facts.version, "PostgreSQL 15.18");
        assert!(facts.warnings.is_empty());
        let old = refused(|found| found.version = 149_999);
        assert!(matches!(old, Refusal::TooOld { .. }));
        assert_eq!(refused(|found| found.is_standby = true), Refusal::Standby);
        let read_only = refused(|found| found.read_only = "on".into());
        assert_eq!(read_only, Refusal::ReadOnly);
        let encoding = refused(|found| found.encoding = "SQL_ASCII".into());
        assert!(matches!(encoding, Refusal::Encoding { .. }));
        let rights = refused(|found| found.may_create = false);
        assert!(matches!(rights, Refusal::NoRights { .. }));
    }

    #[test]
    fn settings_that_weaken_the_promise_are_warned_of() {
        assert_eq!(warned(|found| found.fsync = "off".into()).len(), 1);
        assert_eq!(
            warned(|found| found.full_page_writes = "off".into()).len(),
            1
        );
        let local = |found: &mut Found| found.synchronous_commit = "local".into();
        assert!(warned(local).is_empty(), "without a standby, it is as good");
        let warnings = warned(|found| {
            local(found);
            found.standbys = "s1".into();
        });
        assert_eq!(warnings.len(), 1);
    }
}
