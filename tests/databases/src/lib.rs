//! Databases for tests: each test has one of its own, on SQLite, PostgreSQL, MariaDB or MySQL, made fast from a template. And a
//! proxy that cuts connections where a test wants it.
//!
//! ```no_run
//! # use herald_test_databases::{DatabaseKind, TestDatabase};
//! # async fn test(kind: DatabaseKind) {
//! // As a case of `rstest`: #[values(Sqlite, Postgres, MariaDb, MySql)] kind: DatabaseKind.
//! let Some(database) = TestDatabase::make(kind, 0x17, async |url| migrate(url).await).await else {
//!     return; // This database was not chosen, which is printed.
//! };
//! println!("{}", database.url());
//! # }
//! # async fn migrate(_: &str) {}
//! ```
//!
//! Everything here panics when something is not as it should be: only tests use it.

#![expect(
    clippy::unwrap_used,
    reason = "a harness that cannot go on fails the test that uses it"
)]

mod database;
mod kind;
mod mysql;
mod names;
mod postgres;
mod proxy;
mod server;
mod templates;

pub use database::TestDatabase;
pub use herald_test_servers::ServerKind;
pub use kind::DatabaseKind;
pub use proxy::{Cut, CuttingProxy, Message, Moment, Silence};
pub use server::TestServer;
