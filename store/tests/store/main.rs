//! The store through its public interface, on real files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use herald_test_databases::DatabaseKind;

/// Which database the tests are run on.
const DATABASE: DatabaseKind = DatabaseKind::Sqlite;

mod accounts;
mod acknowledge;
mod at_once;
mod audit;
mod clock;
mod common;
mod counts;
mod delays;
mod durability;
mod fairness;
mod file;
mod foreign_log;
mod idempotency;
mod inbox;
mod known;
mod leases;
mod listing;
mod mysql_servers;
mod opening;
mod prune;
mod queue;
mod removal;
mod retained;
mod retry_dead;
mod rights;
mod rules;
mod servers;
mod sessions;
mod shrink;
mod stored_bytes;
mod tokens;
mod user_changes;
mod user_deletion;
