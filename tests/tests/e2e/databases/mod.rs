//! Database servers that cannot be used: every command ends and says what to do, and never a password.

mod pooler;
mod refused;
mod standby;

use herald_test_databases::{DatabaseKind, TestDatabase};
use herald_tests::{Cli, Ended};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
use tempfile::TempDir;

/// Commands that need the database.
const COMMANDS: [&[&str]; 3] = [&["check-config"], &["serve"], &["admin", "list"]];

/// `herald` with this address of its database.
async fn herald(args: &[&str], url: &str) -> Ended {
    let folder = TempDir::new().unwrap();
    let mut cli = Cli::new(folder.path(), args).env("HERALD_DATABASE__URL", url);
    for listener in ["HTTP__LISTEN", "MQTT__LISTEN_TLS", "MQTT__LISTEN_TCP"] {
        cli = cli.env(&format!("HERALD_{listener}"), "127.0.0.1:0");
    }
    cli.run().await
}

/// The password of a URL.
fn password(url: &str) -> &str {
    let (login, _) = url.rsplit_once('@').unwrap();
    login.rsplit_once(':').unwrap().1
}

/// Panics unless each of `commands` fails with this address, with `advice` in its last line and the password nowhere.
async fn each_refused(commands: &[&[&str]], url: &str, advice: &str) {
    for command in commands {
        let ended = herald(command, url).await;
        assert_eq!(ended.code, 1, "{command:?}: {ended:?}");
        let last = ended.stderr.trim_end().lines().last().unwrap();
        assert!(last.contains(advice), "{command:?}: {ended:?}");
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!all.contains(password(url)), "{command:?}: {all}");
    }
}

async fn refused(url: &str, advice: &str) {
    each_refused(&COMMANDS, url, advice).await;
}

/// An empty database, and a connection of its owner.
struct Database {
    database: TestDatabase,
    owner: AnyConnection,
}

impl Database {
    /// `None` if this database is not tested.
    async fn new(kind: DatabaseKind) -> Option<Self> {
        let database = TestDatabase::empty(kind).await?;
        let owner = connect(database.url()).await;
        Some(Self { database, owner })
    }

    fn url(&self) -> &str {
        self.database.url()
    }

    fn kind(&self) -> DatabaseKind {
        self.database.kind()
    }

    fn name(&self) -> &str {
        let path = self.url().split('?').next().unwrap();
        path.rsplit('/').next().unwrap()
    }

    async fn execute(&mut self, statement: &str) {
        execute(&mut self.owner, statement).await;
    }
}

async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

async fn execute(connection: &mut AnyConnection, statement: &str) {
    let statement = AssertSqlSafe(statement.to_owned());
    connection.execute(statement).await.unwrap();
}
