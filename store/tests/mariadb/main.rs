//! The store through its public interface, on MariaDB.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    dead_code,
    reason = "some of what the tests share is for a database file"
)]

use herald_test_databases::DatabaseKind;

/// Which database the tests are run on.
const DATABASE: DatabaseKind = DatabaseKind::MariaDb;

include!("../server/modules.rs");
