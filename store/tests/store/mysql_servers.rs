//! MariaDB and MySQL servers that cannot be used, and what the error says.

use herald_store::{Refusal, StoreError, examine_server};
use herald_test_databases::{DatabaseKind, ServerKind, TestDatabase, TestServer};
use rstest::rstest;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, raw_sql};

use crate::servers::{PASSWORD, error, refusal};

struct Database {
    database: TestDatabase,
    admin: MySqlConnection,
}

impl Database {
    /// `None` if it is not tested.
    async fn new(kind: DatabaseKind) -> Option<Self> {
        let database = TestDatabase::empty(kind).await?;
        let admin = MySqlConnection::connect(database.url()).await.unwrap();
        Some(Self { database, admin })
    }

    fn url(&self) -> &str {
        self.database.url()
    }

    fn name(&self) -> &str {
        let path = self.url().split('?').next().unwrap();
        path.rsplit('/').next().unwrap()
    }

    /// A name of 32 characters at most.
    fn user_name(&self) -> String {
        format!("u_{}", self.name().rsplit('_').next().unwrap())
    }

    async fn execute(&mut self, text: String) {
        self.admin
            .execute(raw_sql(AssertSqlSafe(text)))
            .await
            .unwrap();
    }

    /// Makes a user with these rights in the database, and returns the address for that user.
    async fn user(&mut self, rights: &str) -> String {
        let (user, name) = (self.user_name(), self.name().to_owned());
        self.execute(format!(
            "CREATE USER {user} IDENTIFIED BY '{PASSWORD}'; GRANT {rights} ON {name}.* TO {user}"
        ))
        .await;
        let (_, rest) = self.url().rsplit_once('@').unwrap();
        format!("mysql://{user}:{PASSWORD}@{rest}")
    }

    async fn forget_user(mut self) {
        let user = self.user_name();
        self.execute(format!("DROP USER {user}")).await;
    }
}

#[rstest]
#[tokio::test]
async fn a_server_that_can_be_used_says_what_it_is(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    let Some(database) = Database::new(kind).await else {
        return;
    };
    let facts = examine_server(&database.url().into()).await.unwrap();
    assert!(facts.version.starts_with(&kind.to_string()), "{facts:?}");
}

#[tokio::test]
async fn an_address_where_nothing_is_is_told() {
    let url = format!("mysql://me:{PASSWORD}@nowhere.invalid/herald");
    assert_eq!(refusal(&url).await, Refusal::UnknownHost);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = taken.local_addr().unwrap();
    drop(taken);
    let url = format!("mysql://me:{PASSWORD}@{free}/herald");
    let error = error(&url).await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&free.to_string()), "{error}");
}

#[rstest]
#[tokio::test]
async fn a_wrong_password_and_a_missing_database_are_told(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    let Some(mut database) = Database::new(kind).await else {
        return;
    };
    let url = database.user("ALL PRIVILEGES").await;
    let other = url.replace(PASSWORD, "something-else");
    let wrong = refusal(&other).await;
    assert!(matches!(wrong, Refusal::WrongPassword { .. }), "{wrong:?}");
    let missing = url.replace(database.name(), "not_there");
    let denied = refusal(&missing).await;
    assert!(
        matches!(denied, Refusal::DatabaseDenied { .. }),
        "{denied:?}"
    );
    let admins = database.url().replace(database.name(), "not_there");
    assert_eq!(refusal(&admins).await, Refusal::NoDatabase);
    database.forget_user().await;
}

#[rstest]
#[tokio::test]
async fn a_user_who_may_not_create_tables_is_told(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    let Some(mut database) = Database::new(kind).await else {
        return;
    };
    let url = database.user("SELECT").await;
    let denied = refusal(&url).await;
    assert!(matches!(denied, Refusal::NotGranted { .. }), "{denied:?}");
    let (user, name) = (database.user_name(), database.name().to_owned());
    database
        .execute(format!("GRANT ALL PRIVILEGES ON {name}.* TO {user}"))
        .await;
    examine_server(&url.as_str().into()).await.unwrap();
    // That is enough for all that there is to do.
    let store = herald_store::Store::open(herald_store::StoreOptions::at(url.into()));
    store.await.unwrap().close().await;
    database.forget_user().await;
}

#[rstest]
#[tokio::test]
async fn tables_with_another_collation_are_told(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    let Some(mut database) = Database::new(kind).await else {
        return;
    };
    database
        .execute("CREATE TABLE settings (name VARCHAR(64)) COLLATE utf8mb4_general_ci".into())
        .await;
    let refusal = refusal(database.url()).await;
    assert!(matches!(refusal, Refusal::Collation { .. }), "{refusal:?}");
}

/// MySQL has TLS from its first start on.
#[tokio::test]
async fn a_server_without_tls_is_told_if_tls_is_asked_for() {
    let Some(database) = Database::new(DatabaseKind::MariaDb).await else {
        return;
    };
    for mode in ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"] {
        let url = format!("{}?ssl-mode={mode}", database.url());
        assert_eq!(refusal(&url).await, Refusal::NoTls, "{mode}");
    }
    let url = format!("{}?ssl-mode=PREFERRED", database.url());
    examine_server(&url.as_str().into()).await.unwrap();
}

/// What is set for all of a server needs one of its own.
#[tokio::test]
async fn a_server_that_only_reads_or_takes_little_at_once_or_is_not_durable_is_told() {
    let Some(server) = TestServer::start(ServerKind::MariaDb).await else {
        return;
    };
    let url = server.url();
    let mut admin = MySqlConnection::connect(&url).await.unwrap();
    for (set, back) in [
        ("read_only = 1", "read_only = 0"),
        (
            "max_allowed_packet = 4194304",
            "max_allowed_packet = 16777216",
        ),
    ] {
        let set = AssertSqlSafe(format!("SET GLOBAL {set}"));
        admin.execute(set).await.unwrap();
        let refusal = refusal(&url).await;
        match &refusal {
            Refusal::ReadOnlyServer => assert_eq!(back, "read_only = 0"),
            Refusal::Setting { name, .. } => assert_eq!(*name, "max_allowed_packet"),
            _ => panic!("{refusal:?}"),
        }
        let back = AssertSqlSafe(format!("SET GLOBAL {back}"));
        admin.execute(back).await.unwrap();
    }
    admin
        .execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
        .await
        .unwrap();
    let facts = examine_server(&url.as_str().into()).await.unwrap();
    let warned = facts.warnings.iter();
    let warned = warned.filter(|one| one.contains("innodb_flush_log_at_trx_commit is 2"));
    assert_eq!(warned.count(), 1, "{facts:?}");
}
