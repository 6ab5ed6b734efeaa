//! Why a database server that answers cannot be used.

/// Why a database server that answers cannot be used. The text says what to do about it and quotes no password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its name stands for no address.
    #[error("its host is unknown; correct it in database.url")]
    UnknownHost,
    /// The password is wrong, or there is no such user.
    #[error(
        "the password of the user {user:?} is wrong, or there is no such user; correct database.url or database.password_file"
    )]
    WrongPassword {
        /// Who connects.
        user: String,
    },
    /// The server lets this user, host or kind of connection in nowhere.
    #[error(
        "the server does not let this user in: {reason}; allow it there (pg_hba.conf), or set sslmode in database.url"
    )]
    NotAllowed {
        /// What the server says.
        reason: String,
    },
    /// There is no such database.
    #[error(
        "the server has no such database; create it (CREATE DATABASE), or correct database.url"
    )]
    NoDatabase,
    /// The user may not do what Herald has to.
    #[error(
        "the user {user:?} may not do what Herald needs: {reason}; make it the owner of the database (ALTER DATABASE ... OWNER TO)"
    )]
    NoRights {
        /// Who connects.
        user: String,
        /// What the server says.
        reason: String,
    },
    /// There is no such database, or the user has no rights to it: MariaDB and MySQL do not say which.
    #[error(
        "there is no such database, or the user {user:?} has no rights to it; create it (CREATE DATABASE) and grant them (GRANT ALL \
         PRIVILEGES ON its name.* TO the user), or correct database.url"
    )]
    DatabaseDenied {
        /// Who connects.
        user: String,
    },
    /// The user may not do what Herald has to, on MariaDB or MySQL.
    #[error(
        "the user {user:?} may not do what Herald needs: {reason}; grant it all of the database (GRANT ALL PRIVILEGES ON its name.* TO \
         the user)"
    )]
    NotGranted {
        /// Who connects.
        user: String,
        /// What the server says.
        reason: String,
    },
    /// MariaDB or MySQL lets this user in from nowhere, or not from here.
    #[error("the server does not let this user in: {reason}; correct the user there")]
    NotLetIn {
        /// What the server says.
        reason: String,
    },
    /// The server takes passwords, or connections, over TLS only.
    #[error(
        "the server takes this user's password over TLS only; set ssl-mode=REQUIRED in database.url, or VERIFY_CA with ssl-ca"
    )]
    NeedsTls,
    /// The server only reads.
    #[error(
        "the server only reads (read_only), as a replica does; name the primary in database.url, or set read_only to 0 there"
    )]
    ReadOnlyServer,
    /// The server is set in a way that Herald cannot work with.
    #[error("{name} is {found} on the server; set it to {needed}")]
    Setting {
        /// Which setting.
        name: &'static str,
        /// What it is.
        found: String,
        /// What it has to be.
        needed: &'static str,
    },
    /// The tables compare texts in another way.
    #[error(
        "the collation of {found} is not the one that Herald gave it; convert its tables (ALTER TABLE ... CONVERT TO CHARACTER SET \
         utf8mb4 COLLATE utf8mb4_nopad_bin, on MySQL utf8mb4_0900_bin), or restore a backup"
    )]
    Collation {
        /// The first column, and its collation.
        found: String,
    },
    /// The server is of a version that is not supported.
    #[error("the server is {found}, and Herald needs {least} or later; use a newer server")]
    TooOld {
        /// What it is.
        found: String,
        /// What it has to be.
        least: &'static str,
    },
    /// Transactions only read.
    #[error(
        "it may only be read; set default_transaction_read_only to off for this user and database"
    )]
    ReadOnly,
    /// The server follows another one.
    #[error("the server is a standby, which only reads; name the primary in database.url")]
    Standby,
    /// Texts are stored in another encoding.
    #[error("its encoding is {found}; create it with ENCODING 'UTF8' (TEMPLATE template0)")]
    Encoding {
        /// The encoding.
        found: String,
    },
    /// Something between Herald and the server gives each transaction another connection.
    #[error(
        "a connection pooler such as pgbouncer in transaction mode is between; name the server itself in database.url, or set \
         pool_mode = session and ignore_startup_parameters = extra_float_digits"
    )]
    Pooler,
    /// TLS was asked for, and the server has none.
    #[error(
        "the server does not speak TLS; turn it on there, or set sslmode=disable (ssl-mode=DISABLED for MySQL) in database.url on a network \
         that you trust"
    )]
    NoTls,
    /// The TLS handshake failed.
    #[error(
        "the TLS handshake with the server failed: {reason}; check sslmode and sslrootcert (ssl-mode and ssl-ca for MySQL) in database.url"
    )]
    Tls {
        /// What is wrong.
        reason: String,
    },
}
