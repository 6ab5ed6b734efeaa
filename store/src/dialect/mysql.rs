//! MariaDB and MySQL: settings of connections, and texts. What only one of them knows is in comments that the other one does not
//! read.

/// What all connections have. Texts that are parameters are compared as those of tables are; and after each lock, what others
/// have committed is seen.
macro_rules! settings {
    ($settings:literal, MariaDB: $mariadb:literal, MySQL: $mysql:literal) => {
        concat!(
            "SET NAMES utf8mb4 /*M! COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */;
            SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
            SET autocommit = 1, sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00',
                foreign_key_checks = 1, sql_safe_updates = 0, default_storage_engine = InnoDB, ",
            $settings,
            " /*M! , ",
            $mariadb,
            " */ /*!80017 , ",
            $mysql,
            " */"
        )
    };
}

/// A number that a connection may count under, and what takes it: 1, or 0 if another has it.
macro_rules! counter {
    ($try:literal) => {
        concat!("(CONNECTION_ID() + ", $try, ") % 256")
    };
}
macro_rules! take_counter {
    ($try:literal) => {
        concat!(
            "GET_LOCK(CONCAT('herald counter ', ",
            counter!($try),
            ", ' ', MD5(DATABASE())), 0)"
        )
    };
}

/// For the connection that migrates: it waits for another server that does the same.
pub(crate) const MIGRATOR: &str = settings!(
    "innodb_lock_wait_timeout = 60, lock_wait_timeout = 60",
    MariaDB: "max_statement_time = 0, idle_transaction_timeout = 60",
    MySQL: "max_execution_time = 0"
);

/// For a connection that reads or writes all of a database, on top of what it has.
/// Retained messages are read in the order of their whole topics, which no index has: it is cut at 1,024 bytes otherwise.
pub(crate) const TRANSFER: &str = settings!(
    "innodb_lock_wait_timeout = 60, lock_wait_timeout = 60, wait_timeout = 28800, net_write_timeout = 3600,
    max_sort_length = 262144, sort_buffer_size = 8388608",
    MariaDB: "max_statement_time = 0, idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0,
        idle_write_transaction_timeout = 0",
    MySQL: "max_execution_time = 0"
);

/// For a connection that writes. A lock is waited for again and again, so that the rest need not wait for it; and what a server
/// that is gone has locked is free again soon: on MySQL, which does not know how long a transaction was idle, with each
/// connection that was idle for as long as a caller waits. One that has nothing to write is used twice as often.
pub(crate) const WRITER: &str = concat!(
    settings!(
        "innodb_lock_wait_timeout = 1, lock_wait_timeout = 1",
        MariaDB: "max_statement_time = 5, idle_transaction_timeout = 3",
        MySQL: "max_execution_time = 5000, wait_timeout = 10"
    ),
    "; SET @herald_counter = CASE 1 WHEN ",
    take_counter!("0"),
    " THEN ",
    counter!("0"),
    " WHEN ",
    take_counter!("1"),
    " THEN ",
    counter!("1"),
    " WHEN ",
    take_counter!("2"),
    " THEN ",
    counter!("2"),
    " ELSE CONNECTION_ID() END"
);

/// In which rows this connection counts: none other that lives has the same, as it holds a lock of that name. They are few, so
/// that nothing is to be added up at a start.
pub(crate) const COUNTER: &str = "COALESCE(@herald_counter, CONNECTION_ID())";

/// For the connection on which a node says every second that it is there.
pub(crate) const NODE: &str = settings!(
    "innodb_lock_wait_timeout = 1, lock_wait_timeout = 1",
    MariaDB: "max_statement_time = 2, idle_transaction_timeout = 10",
    MySQL: "max_execution_time = 2000"
);

/// For connections that read a few rows by their key.
pub(crate) const READER: &str = concat!(
    settings!(
        "innodb_lock_wait_timeout = 5, lock_wait_timeout = 5",
        MariaDB: "max_statement_time = 5, idle_transaction_timeout = 10",
        MySQL: "max_execution_time = 5000"
    ),
    "; SET SESSION TRANSACTION READ ONLY"
);

/// For the connection that looks tokens up, for which each request waits.
pub(crate) const TOKENS: &str = concat!(
    settings!(
        "innodb_lock_wait_timeout = 2, lock_wait_timeout = 2",
        MariaDB: "max_statement_time = 3, idle_transaction_timeout = 10",
        MySQL: "max_execution_time = 3000"
    ),
    "; SET SESSION TRANSACTION READ ONLY"
);

/// For connections that read lists: the same, and less patient.
pub(crate) const LISTS: &str = concat!(
    settings!(
        "innodb_lock_wait_timeout = 2, lock_wait_timeout = 2",
        MariaDB: "max_statement_time = 2, idle_transaction_timeout = 10",
        MySQL: "max_execution_time = 2000"
    ),
    "; SET SESSION TRANSACTION READ ONLY"
);

/// Takes the lock of all who migrate the database, and gives it back. It goes with the connection, too.
pub(crate) const LOCK_MIGRATIONS: &str =
    "SELECT COALESCE(GET_LOCK(CONCAT('herald ', MD5(DATABASE())), 60), 0)";
pub(crate) const UNLOCK_MIGRATIONS: &str =
    "SELECT RELEASE_LOCK(CONCAT('herald ', MD5(DATABASE())))";
