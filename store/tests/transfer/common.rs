//! What the tests share: databases, and what is in them.

use std::pin::{Pin, pin};
use std::sync::Arc;

use futures_util::future::{Either, select};
use herald_store::{
    Store, StoreOptions, TransferError, TransferProgress, Transferred, transfer_database,
};
use herald_test_databases::{DatabaseKind, TestDatabase};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _, Row as _};
use tokio::sync::Notify;

/// An empty database; `None` if this kind is not tested.
pub(crate) async fn empty(kind: DatabaseKind) -> Option<TestDatabase> {
    TestDatabase::empty(kind).await
}

/// A database file, which is not there yet.
pub(crate) async fn file() -> TestDatabase {
    empty(DatabaseKind::Sqlite).await.unwrap()
}

/// A database with the tables of Herald.
pub(crate) async fn migrated(kind: DatabaseKind) -> Option<TestDatabase> {
    let database = empty(kind).await?;
    let store = open(&database).await.unwrap();
    store.close().await;
    Some(database)
}

/// A database file with the tables, to which `text` was done.
pub(crate) async fn file_with(text: &'static str) -> TestDatabase {
    let database = migrated(DatabaseKind::Sqlite).await.unwrap();
    execute(&database, text).await;
    database
}

pub(crate) async fn open(database: &TestDatabase) -> Result<Store, herald_store::StoreError> {
    Store::open(StoreOptions::at(database.url().into())).await
}

/// A connection as of an operator with a SQL shell.
pub(crate) async fn connect(database: &TestDatabase) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let url = match database.kind() {
        DatabaseKind::Sqlite => format!("{}?mode=rwc", database.url()),
        _ => database.url().to_owned(),
    };
    AnyConnection::connect(&url).await.unwrap()
}

/// Runs statements.
pub(crate) async fn execute(database: &TestDatabase, text: impl Into<String>) {
    let mut conn = connect(database).await;
    let text = sqlx::raw_sql(AssertSqlSafe(text.into()));
    conn.execute(text).await.unwrap();
    conn.close().await.unwrap();
}

/// The rows of a query, each as one text.
pub(crate) async fn texts(database: &TestDatabase, text: String) -> Vec<String> {
    let mut conn = connect(database).await;
    let rows = sqlx::query(AssertSqlSafe(text));
    let rows = rows.fetch_all(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The text of a database file, but for what belongs to the file: each table, and in it each row.
pub(crate) async fn dump(database: &TestDatabase) -> Vec<String> {
    assert_eq!(database.kind(), DatabaseKind::Sqlite);
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
        AND name NOT IN ('log_mark', '_sqlx_migrations') ORDER BY name";
    let mut dump = vec![];
    for table in texts(database, tables.into()).await {
        let columns = format!("SELECT name FROM pragma_table_info('{table}')");
        let columns = texts(database, columns).await;
        let quoted = columns.iter().map(|column| format!("quote({column})"));
        let quoted = quoted.collect::<Vec<_>>().join(" || ', ' || ");
        let rows = format!("SELECT '{table}: ' || {quoted} FROM {table} ORDER BY 1");
        dump.extend(texts(database, rows).await);
    }
    dump
}

pub(crate) async fn copy(
    from: &TestDatabase,
    to: &TestDatabase,
) -> Result<Transferred, TransferError> {
    transfer_database(from.url().into(), to.url().into(), async |_| {}).await
}

/// A copy that has come to some point and stands still there.
pub(crate) struct Halted<'f> {
    copying: Pin<Box<dyn Future<Output = Result<Transferred, TransferError>> + 'f>>,
    go_on: Arc<Notify>,
}

impl Halted<'_> {
    /// Copies until `reached` says so.
    pub(crate) async fn at(
        from: &TestDatabase,
        to: &TestDatabase,
        reached: impl Fn(TransferProgress) -> bool + 'static,
    ) -> Self {
        let (there, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (arrived, goes_on) = (Arc::clone(&there), Arc::clone(&go_on));
        let mut halted = false;
        let (from, to) = (from.url().into(), to.url().into());
        let mut copying = Box::pin(transfer_database(from, to, async move |progress| {
            if !halted && reached(progress) {
                halted = true;
                arrived.notify_one();
                goes_on.notified().await;
            }
        }));
        match select(copying.as_mut(), pin!(there.notified())).await {
            Either::Left((ended, _)) => panic!("it ended before: {ended:?}"),
            Either::Right(((), _)) => {}
        }
        Self { copying, go_on }
    }

    /// Goes on to the end.
    pub(crate) async fn finish(self) -> Result<Transferred, TransferError> {
        self.go_on.notify_one();
        self.copying.await
    }
}
