//! PostgreSQL: settings of connections, and texts.

/// What all connections have, whatever was set for the user or the database: one that is idle is not ended, and a transaction only
/// as said here (the setting that ends all that last is one of PostgreSQL 17); one that is gone is noticed.
macro_rules! settings {
    ($settings:literal) => {
        concat!(
            "SET default_transaction_isolation = 'read committed'; SET idle_session_timeout = 0;
            SELECT set_config('transaction_timeout', '0', false)
                WHERE current_setting('transaction_timeout', true) IS NOT NULL;
            SET tcp_user_timeout = '10s'; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2;
            SET tcp_keepalives_count = 3; ",
            $settings
        )
    };
}

/// For the connection that migrates: it waits for another server that does the same.
pub(crate) const MIGRATOR: &str = settings!(
    "SET lock_timeout = '60s'; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = '60s'"
);

/// For a connection that reads or writes all of a database, on top of what it has. Its name tells it from a server.
pub(crate) const TRANSFER: &str = settings!(
    "SET application_name = 'herald migrate'; SET tcp_user_timeout = '600s';
    SET lock_timeout = '60s'; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0"
);

/// For a connection that writes. A lock is waited for longer than it takes to find a deadlock, and again and again, so that the rest need not wait for it; and what a
/// connection that is gone has locked is free again soon. A commit is durable, whatever the database's default is. PostgreSQL on
/// Windows cannot ask whether a connection is still there.
pub(crate) const WRITER: &str = settings!(
    "SET lock_timeout = '1500ms'; SET statement_timeout = '5s'; SET idle_in_transaction_session_timeout = '3s';
    SELECT set_config('client_connection_check_interval', '1s', false) WHERE version() NOT LIKE '%Visual C++%';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
);

/// For the connection on which a node says every second that it is there. What a crash of the server loses of that is said
/// again, and need not wait for its disk.
pub(crate) const NODE: &str = settings!(
    "SET synchronous_commit = off; SET lock_timeout = '1s'; SET statement_timeout = '2s';
    SET idle_in_transaction_session_timeout = '3s'"
);

/// For connections that read a few rows by their key.
pub(crate) const READER: &str = settings!(
    "SET default_transaction_read_only = on; SET lock_timeout = '5s'; SET statement_timeout = '5s';
    SET idle_in_transaction_session_timeout = '10s'"
);

/// For the connection that looks tokens up, for which each request waits.
pub(crate) const TOKENS: &str = settings!(
    "SET default_transaction_read_only = on; SET lock_timeout = '2s'; SET statement_timeout = '3s';
    SET idle_in_transaction_session_timeout = '10s'"
);

/// For connections that read lists: the same, and less patient.
pub(crate) const LISTS: &str = settings!(
    "SET default_transaction_read_only = on; SET lock_timeout = '2s'; SET statement_timeout = '2s';
    SET idle_in_transaction_session_timeout = '10s'"
);

/// Starts the transaction of all migrations. Several servers that start at once come one after the other; the lock goes with
/// the transaction, and the transaction with the connection. The number is any, for all versions of Herald.
pub(crate) const BEGIN_MIGRATIONS: &str =
    "BEGIN; SELECT pg_advisory_xact_lock(5216694956355245935)";

/// Adds what connections that are gone have counted to one row a status.
pub(crate) const FOLD_COUNTS: &str = "WITH folded AS (
        DELETE FROM message_counts WHERE backend <> 0 AND backend NOT IN (SELECT pid FROM pg_stat_activity)
        RETURNING status, count)
    INSERT INTO message_counts (status, backend, count)
    SELECT status, 0, SUM(count) FROM folded GROUP BY status
    ON CONFLICT (status, backend) DO UPDATE SET count = message_counts.count + excluded.count";
pub(crate) const FOLD_CHANGES: &str = "WITH folded AS (
        DELETE FROM inbox_changes WHERE backend <> 0 AND backend NOT IN (SELECT pid FROM pg_stat_activity)
        RETURNING changes)
    INSERT INTO inbox_changes (backend, changes)
    SELECT 0, COALESCE(SUM(changes), 0) FROM folded
    ON CONFLICT (backend) DO UPDATE SET changes = inbox_changes.changes + excluded.changes";
