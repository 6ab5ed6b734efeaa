//! Database servers that cannot be used, and what the error says.

use herald_store::{Refusal, StoreError, examine_server};
use herald_test_databases::{DatabaseKind, TestDatabase};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// The password of users that the tests make. It has what a server may ask of one.
pub(crate) const PASSWORD: &str = "S3cret-of-a-test";

/// A database on a PostgreSQL server.
struct Database {
    database: TestDatabase,
    admin: PgConnection,
}

impl Database {
    /// `None` if PostgreSQL is not tested.
    async fn new() -> Option<Self> {
        let database = TestDatabase::empty(DatabaseKind::Postgres).await?;
        let admin = PgConnection::connect(database.url()).await.unwrap();
        Some(Self { database, admin })
    }

    fn url(&self) -> &str {
        self.database.url()
    }

    fn name(&self) -> &str {
        self.url().rsplit('/').next().unwrap()
    }

    /// Where the server is: host and port.
    fn address(&self) -> &str {
        let (_, address) = self.url().rsplit_once('@').unwrap();
        address.split('/').next().unwrap()
    }

    async fn execute(&mut self, text: String) {
        self.admin.execute(AssertSqlSafe(text)).await.unwrap();
    }

    /// Makes a user who may do nothing but connect, and returns the address for that user.
    async fn user(&mut self) -> String {
        let name = format!("{}_user", self.name());
        self.execute(format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'"))
            .await;
        format!(
            "postgres://{name}:{PASSWORD}@{}/{}",
            self.address(),
            self.name()
        )
    }

    async fn forget_user(mut self) {
        let name = format!("{}_user", self.name());
        self.execute(format!("DROP OWNED BY {name}; DROP ROLE {name}"))
            .await;
    }
}

pub(crate) async fn error(url: &str) -> StoreError {
    let error = examine_server(&url.into()).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    assert!(!shown.contains('\n'), "{shown}");
    error
}

pub(crate) async fn refusal(url: &str) -> Refusal {
    match error(url).await {
        StoreError::Refused { refusal, .. } => refusal,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_server_that_can_be_used_says_what_it_is() {
    let Some(database) = Database::new().await else {
        return;
    };
    let facts = examine_server(&database.url().into()).await.unwrap();
    assert!(facts.version.starts_with("PostgreSQL "), "{facts:?}");
}

#[tokio::test]
async fn an_address_where_nothing_is_is_told() {
    let url = format!("postgres://me:{PASSWORD}@nowhere.invalid/herald");
    assert_eq!(refusal(&url).await, Refusal::UnknownHost);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = taken.local_addr().unwrap();
    drop(taken);
    let url = format!("postgres://me:{PASSWORD}@{free}/herald");
    let error = error(&url).await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(error.is_transient());
    assert!(error.to_string().contains(&free.to_string()), "{error}");
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_database_are_told() {
    let Some(mut database) = Database::new().await else {
        return;
    };
    let url = database.user().await;
    let other = url.replace(PASSWORD, &PASSWORD.replace('s', "t"));
    assert!(matches!(
        refusal(&other).await,
        Refusal::WrongPassword { .. }
    ));
    let (server, _) = url.rsplit_once('/').unwrap();
    let missing = format!("{server}/not_there");
    assert_eq!(refusal(&missing).await, Refusal::NoDatabase);
    database.forget_user().await;
}

#[tokio::test]
async fn a_user_who_may_not_create_tables_is_told() {
    let Some(mut database) = Database::new().await else {
        return;
    };
    let url = database.user().await;
    assert!(matches!(refusal(&url).await, Refusal::NoRights { .. }));
    let grant = format!("GRANT CREATE ON SCHEMA public TO {}_user", database.name());
    database.execute(grant).await;
    examine_server(&url.as_str().into()).await.unwrap();
    database.forget_user().await;
}

#[tokio::test]
async fn a_database_that_only_reads_is_told() {
    let Some(mut database) = Database::new().await else {
        return;
    };
    let name = database.name().to_owned();
    database
        .execute(format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = on"
        ))
        .await;
    assert_eq!(refusal(database.url()).await, Refusal::ReadOnly);
}

#[tokio::test]
async fn another_encoding_is_told() {
    let Some(mut database) = Database::new().await else {
        return;
    };
    let name = format!("{}_latin1", database.name());
    database
        .execute(format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"
        ))
        .await;
    let url = format!("{}_latin1", database.url());
    let refusal = refusal(&url).await;
    assert!(matches!(refusal, Refusal::Encoding { .. }), "{refusal:?}");
    database
        .execute(format!("DROP DATABASE {name} WITH (FORCE)"))
        .await;
}

#[tokio::test]
async fn a_server_without_tls_is_told_if_tls_is_asked_for() {
    let Some(database) = Database::new().await else {
        return;
    };
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = format!("{}?sslmode={mode}", database.url());
        assert_eq!(refusal(&url).await, Refusal::NoTls, "{mode}");
    }
    let url = format!("{}?sslmode=prefer", database.url());
    examine_server(&url.as_str().into()).await.unwrap();
}
