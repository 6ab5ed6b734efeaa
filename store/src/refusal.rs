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
        "the server does not speak TLS; turn it on there, or set sslmode=disable in database.url on a network that you trust"
    )]
    NoTls,
    /// The TLS handshake failed.
    #[error(
        "the TLS handshake with the server failed: {reason}; check sslmode and sslrootcert in database.url"
    )]
    Tls {
        /// What is wrong.
        reason: String,
    },
}
