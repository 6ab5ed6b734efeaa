//! Databases on PostgreSQL.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, raw_sql};

use crate::names;

/// How long another process may take to make a template, in ms.
const PATIENCE: u32 = 120_000;

/// How long the connections to a template may take to end, in ms.
const ENDING: i64 = 10_000;

async fn connect(server: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnection::connect(server).await
}

async fn run(server: &str, statement: String) {
    let mut connection = connect(server).await.unwrap();
    let done = connection.execute(raw_sql(AssertSqlSafe(statement))).await;
    done.unwrap();
    connection.close().await.unwrap();
}

pub(crate) async fn create(server: &str, name: &str) {
    run(server, format!("CREATE DATABASE {name}")).await;
}

/// Makes the database `name` as `template` is. By its log, which takes half the time of a copy of its files.
pub(crate) async fn copy(server: &str, template: &str, name: &str) {
    let from = format!("TEMPLATE {template} STRATEGY WAL_LOG");
    run(server, format!("CREATE DATABASE {name} {from}")).await;
}

pub(crate) async fn drop(server: &str, name: &str) -> Result<(), sqlx::Error> {
    let mut connection = connect(server).await?;
    let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    connection
        .execute(raw_sql(AssertSqlSafe(statement)))
        .await?;
    connection.close().await
}

/// The name of the template with this hash, which `migrate` makes unless it is there.
pub(crate) async fn template(server: &str, hash: u64, migrate: impl AsyncFnOnce(&str)) -> String {
    let name = names::template(hash);
    let mut connection = connect(server).await.unwrap();
    let patience = format!("SET lock_timeout = {PATIENCE}");
    connection.execute(AssertSqlSafe(patience)).await.unwrap();
    // Held until the connection ends.
    let lock = sqlx::query("SELECT pg_advisory_lock($1)").bind(hash.cast_signed());
    lock.execute(&mut connection).await.unwrap();
    let found = sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1").bind(&name);
    if found
        .fetch_optional(&mut connection)
        .await
        .unwrap()
        .is_none()
    {
        // It has its name once it is whole.
        let making = format!("{name}_making");
        drop(server, &making).await.unwrap();
        create(server, &making).await;
        migrate(&names::with_database(server, &making)).await;
        let ended = sqlx::query(
            "SELECT pg_terminate_backend(pid, $1) FROM pg_stat_activity WHERE datname = $2",
        );
        let ended = ended.bind(ENDING).bind(&making);
        ended.execute(&mut connection).await.unwrap();
        let rename = format!("ALTER DATABASE {making} RENAME TO {name}");
        connection.execute(AssertSqlSafe(rename)).await.unwrap();
    }
    connection.close().await.unwrap();
    name
}
