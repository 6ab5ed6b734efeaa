//! The database of a server under test, where that is not a file of its own.

use std::{env, sync::Arc, thread};

use herald_test_databases::{DatabaseKind, TestDatabase};
use tempfile::TempDir;
use tokio::runtime;

use crate::cli::Cli;

/// The variable that names the database of all servers that a test program starts. Without it each has a file.
const CHOSEN: &str = "HERALD_E2E_DATABASE";

/// The key of the configuration.
pub(crate) const URL: &str = "HERALD_DATABASE__URL";

/// The number of the template with Herald's tables.
const TEMPLATE: u64 = 0x65_32_65;

/// A database on the server that was chosen, with Herald's tables and nothing in them; `None` if files were.
pub(crate) fn database() -> Option<TestDatabase> {
    let name = env::var(CHOSEN).ok()?;
    let kind = DatabaseKind::named(&name);
    let kind = kind.unwrap_or_else(|| panic!("{CHOSEN}={name} is no database"));
    if kind == DatabaseKind::Sqlite {
        return None;
    }
    // The test's own runtime may be one that cannot wait here.
    let made = thread::scope(|scope| scope.spawn(|| make(kind)).join().unwrap());
    Some(made.unwrap_or_else(|| panic!("{CHOSEN} is {name}, which has no server")))
}

/// The database that was chosen; `None` if files were.
#[must_use]
pub fn chosen_kind() -> Option<DatabaseKind> {
    let kind = DatabaseKind::named(&env::var(CHOSEN).ok()?)?;
    (kind != DatabaseKind::Sqlite).then_some(kind)
}

/// A database with Herald's tables and nothing in them, for several servers; `None` if this kind is not tested.
pub async fn empty_database(kind: DatabaseKind) -> Option<Arc<TestDatabase>> {
    TestDatabase::make(kind, TEMPLATE, migrate)
        .await
        .map(Arc::new)
}

/// Any command makes the tables.
async fn migrate(url: &str) {
    let folder = TempDir::new().unwrap();
    let command = Cli::new(folder.path(), &["admin", "list"]);
    command.env(URL, url).succeed().await;
}

fn make(kind: DatabaseKind) -> Option<TestDatabase> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let made = TestDatabase::make(kind, TEMPLATE, migrate);
    runtime.unwrap().block_on(made)
}
