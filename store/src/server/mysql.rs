//! MariaDB and MySQL: what a server has to be, and why it refuses.

use sqlx::mysql::MySqlDatabaseError;
use sqlx::{AnyConnection, Executor as _, Row as _};

use crate::{Refusal, ServerFacts};

/// The least versions. Earlier ones of MySQL have no collation by bytes that tells trailing spaces.
const LEAST_MARIADB: [u32; 3] = [10, 11, 0];
const LEAST_MYSQL: [u32; 3] = [8, 0, 17];

/// How long a statement may be that the server takes, in bytes, at least. See [`bulk::cut`](crate::bulk::cut).
const LEAST_PACKET: u64 = 16 << 20;

/// What is to be known of a server. Rights that come by a role are not listed.
const LOOK: &str = "SELECT VERSION() AS version,
    CAST(@@global.read_only AS CHAR) AS read_only,
    CAST(@@global.innodb_read_only AS CHAR) AS innodb_read_only,
    CAST(@@global.log_bin AS CHAR) AS log_bin,
    CAST(@@global.binlog_format AS CHAR) AS binlog_format,
    CAST(@@global.max_allowed_packet AS CHAR) AS max_allowed_packet,
    CAST(@@global.innodb_flush_log_at_trx_commit AS CHAR) AS flush_log,
    CAST(@@global.sync_binlog AS CHAR) AS sync_binlog,
    CAST(@@global.innodb_doublewrite AS CHAR) AS doublewrite,
    CAST(
        (SELECT COUNT(*) FROM information_schema.user_privileges WHERE privilege_type = 'CREATE'
            AND grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), ''''))
        + (SELECT COUNT(*) FROM information_schema.schema_privileges WHERE privilege_type = 'CREATE'
            AND DATABASE() LIKE table_schema
            AND grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), ''''))
        + (SELECT COUNT(*) FROM information_schema.tables
            WHERE table_schema = DATABASE() AND table_name = '_sqlx_migrations')
        + CASE WHEN COALESCE(CURRENT_ROLE(), 'NONE') = 'NONE' THEN 0 ELSE 1 END
        AS CHAR) AS may_create,
    (SELECT CAST(CONCAT(table_name, '.', column_name, ' (', collation_name, ')') AS CHAR)
        FROM information_schema.columns
        WHERE table_schema = DATABASE() AND table_name IN ('users', 'messages', 'cursors', 'retained', 'settings')
            AND collation_name NOT IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')
        LIMIT 1) AS other_collation";

/// A server as it is.
#[derive(Debug, Clone)]
pub(super) struct Found {
    version: String,
    read_only: String,
    innodb_read_only: String,
    log_bin: String,
    binlog_format: String,
    max_allowed_packet: String,
    flush_log: String,
    sync_binlog: String,
    doublewrite: String,
    may_create: String,
    other_collation: Option<String>,
}

/// Asks the server what it is.
pub(super) async fn look(conn: &mut AnyConnection) -> Result<Found, sqlx::Error> {
    let row = conn.fetch_one(LOOK).await?;
    Ok(Found {
        version: row.try_get("version")?,
        read_only: row.try_get("read_only")?,
        innodb_read_only: row.try_get("innodb_read_only")?,
        log_bin: row.try_get("log_bin")?,
        binlog_format: row.try_get("binlog_format")?,
        max_allowed_packet: row.try_get("max_allowed_packet")?,
        flush_log: row.try_get("flush_log")?,
        sync_binlog: row.try_get("sync_binlog")?,
        doublewrite: row.try_get("doublewrite")?,
        may_create: row.try_get("may_create")?,
        other_collation: row.try_get("other_collation")?,
    })
}

/// Whether a setting is off: it is shown as a number or as a word.
fn is_off(setting: &str) -> bool {
    setting == "0" || setting.eq_ignore_ascii_case("off")
}

impl Found {
    /// Whether it can be used by `user`.
    pub(super) fn judge(self, user: &str) -> Result<ServerFacts, Refusal> {
        let version = self.check_version()?;
        if !is_off(&self.read_only) || !is_off(&self.innodb_read_only) {
            return Err(Refusal::ReadOnlyServer);
        }
        let wrong = |name, found: &str, needed| {
            let found = found.to_owned();
            Err(Refusal::Setting {
                name,
                found,
                needed,
            })
        };
        let is_logged = !is_off(&self.log_bin);
        // InnoDB refuses it with what READ COMMITTED changes.
        if is_logged && self.binlog_format.eq_ignore_ascii_case("statement") {
            return wrong("binlog_format", &self.binlog_format, "ROW");
        }
        let packet: u64 = self.max_allowed_packet.parse().unwrap_or(LEAST_PACKET);
        if packet < LEAST_PACKET {
            return wrong(
                "max_allowed_packet",
                &self.max_allowed_packet,
                "16M or more",
            );
        }
        if let Some(found) = self.other_collation {
            return Err(Refusal::Collation { found });
        }
        if is_off(&self.may_create) {
            return Err(Refusal::NotGranted {
                user: user.to_owned(),
                reason: "it cannot create tables".into(),
            });
        }
        Ok(ServerFacts {
            version,
            warnings: self.warnings(),
        })
    }

    /// Which server it is, if it is not too old.
    fn check_version(&self) -> Result<String, Refusal> {
        let is_mariadb = self.version.contains("MariaDB");
        let (name, least, least_name) = match is_mariadb {
            true => ("MariaDB", LEAST_MARIADB, "MariaDB 10.11"),
            false => ("MySQL", LEAST_MYSQL, "MySQL 8.0.17"),
        };
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let end = self.version.find(|c| !is_number(c));
        let numbers = &self.version[..end.unwrap_or(self.version.len())];
        let version = format!("{name} {numbers}");
        let mut parts = numbers.split('.').map(|part| part.parse().unwrap_or(0));
        let mut part = || parts.next().unwrap_or(0);
        if [part(), part(), part()] < least {
            return Err(Refusal::TooOld {
                found: version,
                least: least_name,
            });
        }
        Ok(version)
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = vec![];
        let mut warn = |name: &str, value: &str, needed: &str| {
            warnings.push(format!(
                "{name} is {value} on the database server: if its machine fails, what was sent may be lost; set it to {needed}"
            ));
        };
        // MariaDB's 3 is as durable as 1.
        if !["1", "3"].contains(&self.flush_log.as_str()) {
            warn("innodb_flush_log_at_trx_commit", &self.flush_log, "1");
        }
        // Recovery undoes what the binary log does not have.
        if !is_off(&self.log_bin) && self.sync_binlog != "1" {
            warn("sync_binlog", &self.sync_binlog, "1");
        }
        // MySQL 8.0.30 can write down which pages, and not what is in them.
        let is_detected = self.doublewrite.eq_ignore_ascii_case("DETECT_ONLY");
        if is_off(&self.doublewrite) || is_detected {
            warn("innodb_doublewrite", &self.doublewrite, "ON");
        }
        warnings
    }
}

/// Why the server refuses, if that is what the error says.
pub(super) fn refusal(error: &sqlx::Error, user: &str) -> Option<Refusal> {
    if let sqlx::Error::Configuration(reason) = error {
        // A password that the server does not remember is sent over TLS only.
        let is_about_tls = reason.to_string().contains("RSA");
        return is_about_tls.then_some(Refusal::NeedsTls);
    }
    let error = error.as_database_error()?;
    let error = error.try_downcast_ref::<MySqlDatabaseError>()?;
    let (user, reason) = (user.to_owned(), error.message().to_owned());
    match error.number() {
        1045 => Some(Refusal::WrongPassword { user }),
        1049 => Some(Refusal::NoDatabase),
        1044 => Some(Refusal::DatabaseDenied { user }),
        // No host, no plugin, an expired password, a locked account.
        1129 | 1130 | 1251 | 1524 | 1698 | 1820 | 1862 | 3118 | 4151 => {
            Some(Refusal::NotLetIn { reason })
        }
        3159 => Some(Refusal::NeedsTls),
        1142 | 1143 | 1227 | 1370 => Some(Refusal::NotGranted { user, reason }),
        1290 | 1792 | 1836 => Some(Refusal::ReadOnlyServer),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        Found {
            version: "10.11.19-MariaDB-0+deb12u1".into(),
            read_only: "0".into(),
            innodb_read_only: "0".into(),
            log_bin: "0".into(),
            binlog_format: "MIXED".into(),
            max_allowed_packet: "16777216".into(),
            flush_log: "1".into(),
            sync_binlog: "0".into(),
            doublewrite: "1".into(),
            may_create: "1".into(),
            other_collation: None,
        }
    }

    fn judged(change: impl FnOnce(&mut Found)) -> Result<ServerFacts, Refusal> {
        let mut found = found();
        change(&mut found);
        found.judge("me")
    }

    #[test]
    fn a_server_that_serves_is_taken_whichever_it_is() {
        let facts = judged(|_| {}).unwrap();
        assert_eq!(facts.version, "MariaDB 10.11.19");
        assert_eq!(facts.warnings, Vec::<String>::new());
        for (version, name) in [
            ("8.0.36", "MySQL 8.0.36"),
            ("8.4.3-0ubuntu1", "MySQL 8.4.3"),
            ("11.4.2-MariaDB", "MariaDB 11.4.2"),
        ] {
            let facts = judged(|found| found.version = version.into()).unwrap();
            assert_eq!(facts.version, name);
        }
    }

    #[test]
    fn other_servers_are_not() {
        for version in [
            "10.6.12-MariaDB",
            "8.0.16",
            "5.7.44-log",
            "8.0.11-TiDB-v7.5.0",
            "",
        ] {
            let old = judged(|found| found.version = version.into());
            assert!(matches!(old, Err(Refusal::TooOld { .. })), "{version}");
        }
        let only_reads = judged(|found| found.read_only = "ON".into());
        assert_eq!(only_reads, Err(Refusal::ReadOnlyServer));
        let small = judged(|found| found.max_allowed_packet = "4194304".into());
        assert!(matches!(small, Err(Refusal::Setting { .. })), "{small:?}");
        let by_statement = judged(|found| {
            found.log_bin = "1".into();
            found.binlog_format = "STATEMENT".into();
        });
        assert!(matches!(by_statement, Err(Refusal::Setting { .. })));
        let collation = judged(|found| found.other_collation = Some("users.id".into()));
        assert!(matches!(collation, Err(Refusal::Collation { .. })));
        let rights = judged(|found| found.may_create = "0".into());
        assert!(matches!(rights, Err(Refusal::NotGranted { .. })));
    }

    #[test]
    fn settings_that_weaken_the_promise_are_warned_of() {
        let warnings = |change: fn(&mut Found)| judged(change).unwrap().warnings.len();
        assert_eq!(warnings(|found| found.flush_log = "2".into()), 1);
        assert_eq!(warnings(|found| found.doublewrite = "OFF".into()), 1);
        let detected = |found: &mut Found| found.doublewrite = "DETECT_ONLY".into();
        assert_eq!(warnings(detected), 1);
        assert_eq!(warnings(|found| found.log_bin = "1".into()), 1);
        let synced = |found: &mut Found| {
            found.log_bin = "1".into();
            found.sync_binlog = "1".into();
        };
        assert_eq!(warnings(synced), 0);
    }
}
