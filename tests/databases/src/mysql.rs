//! Databases on MariaDB and MySQL. They have no templates: the statements that make the tables are repeated.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, Row as _, raw_sql};

use crate::names;

/// How long another process may take to make a template, in seconds.
const PATIENCE: i32 = 120;

/// The table that a template has once it is whole.
const WHOLE: &str = "herald_template_is_whole";

async fn connect(server: &str) -> Result<MySqlConnection, sqlx::Error> {
    MySqlConnection::connect(server).await
}

async fn run(server: &str, statements: String) {
    let mut connection = connect(server).await.unwrap();
    let done = connection.execute(raw_sql(AssertSqlSafe(statements))).await;
    done.unwrap();
    connection.close().await.unwrap();
}

fn creation(name: &str) -> String {
    format!("CREATE DATABASE {name} CHARACTER SET utf8mb4;")
}

pub(crate) async fn create(server: &str, name: &str) {
    run(server, creation(name)).await;
}

/// Makes the database `name` by the statements of a template.
pub(crate) async fn replay(server: &str, template: &str, name: &str) {
    let create = creation(name);
    // Tables may refer to later ones.
    let setting = "SET foreign_key_checks = 0;";
    run(server, format!("{create} USE {name}; {setting} {template}")).await;
}

pub(crate) async fn drop(server: &str, name: &str) -> Result<(), sqlx::Error> {
    let mut connection = connect(server).await?;
    // Whoever is connected may have a transaction, which holds the tables.
    let connected = "SELECT id FROM information_schema.processlist WHERE db = ?";
    let connected = sqlx::query(connected).bind(name);
    for row in connected.fetch_all(&mut connection).await? {
        let id = row
            .try_get::<u64, _>(0)
            .or_else(|_| row.try_get::<i64, _>(0).map(i64::cast_unsigned))?;
        // It may have ended.
        let kill = raw_sql(AssertSqlSafe(format!("KILL {id}")));
        let _ = connection.execute(kill).await;
    }
    let statement = format!("SET lock_wait_timeout = 10; DROP DATABASE IF EXISTS {name}");
    connection
        .execute(raw_sql(AssertSqlSafe(statement)))
        .await?;
    connection.close().await
}

/// The statements that make what the template with this hash has. `migrate` makes the template unless it is there.
pub(crate) async fn template(server: &str, hash: u64, migrate: impl AsyncFnOnce(&str)) -> String {
    let name = names::template(hash);
    let mut connection = connect(server).await.unwrap();
    // Held until the connection ends.
    let lock = sqlx::query_scalar("SELECT GET_LOCK(?, ?)")
        .bind(&name)
        .bind(PATIENCE);
    let locked: Option<i64> = lock.fetch_one(&mut connection).await.unwrap();
    assert_eq!(
        locked,
        Some(1),
        "another process takes too long with {name}"
    );
    let url = names::with_database(server, &name);
    if !tables(&mut connection, &name)
        .await
        .iter()
        .any(|table| table == WHOLE)
    {
        drop(server, &name).await.unwrap();
        create(server, &name).await;
        migrate(&url).await;
        run(&url, format!("CREATE TABLE {WHOLE} (nothing INT)")).await;
    }
    let mut template = connect(&url).await.unwrap();
    let statements = statements(&mut template, &name).await;
    template.close().await.unwrap();
    connection.close().await.unwrap();
    statements
}

async fn tables(connection: &mut MySqlConnection, database: &str) -> Vec<String> {
    let tables = "SELECT CAST(table_name AS CHAR) FROM information_schema.tables \
         WHERE table_schema = ? AND table_type = 'BASE TABLE' ORDER BY table_name";
    let tables = sqlx::query_scalar(tables).bind(database);
    tables.fetch_all(connection).await.unwrap()
}

/// What makes the tables, rows and views of `database`, to which `connection` leads.
async fn statements(connection: &mut MySqlConnection, database: &str) -> String {
    let mut statements = String::new();
    for table in tables(connection, database).await {
        if table == WHOLE {
            continue;
        }
        let shown = show(connection, format!("SHOW CREATE TABLE `{table}`")).await;
        writeln!(statements, "{shown};").unwrap();
        let rows = AssertSqlSafe(format!("SELECT EXISTS (SELECT * FROM `{table}`)"));
        let has_rows: i64 = sqlx::query_scalar(rows)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        if has_rows == 1 {
            let columns = columns(connection, database, &table).await;
            let rows = format!("SELECT {columns} FROM `{database}`.`{table}`");
            writeln!(statements, "INSERT INTO `{table}` ({columns}) {rows};").unwrap();
        }
    }
    let views = "SELECT CAST(table_name AS CHAR) FROM information_schema.views \
         WHERE table_schema = ? ORDER BY table_name";
    let views = sqlx::query_scalar(views).bind(database);
    let views: Vec<String> = views.fetch_all(&mut *connection).await.unwrap();
    for view in views {
        let shown = show(connection, format!("SHOW CREATE VIEW `{view}`")).await;
        writeln!(statements, "{shown};").unwrap();
    }
    let triggers = "SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = ?";
    let triggers = sqlx::query_scalar(triggers).bind(database);
    let triggers: i64 = triggers.fetch_one(connection).await.unwrap();
    assert_eq!(triggers, 0, "triggers are not repeated: there were none");
    statements
}

/// The columns that are not computed.
async fn columns(connection: &mut MySqlConnection, database: &str, table: &str) -> String {
    let columns = "SELECT CAST(column_name AS CHAR) FROM information_schema.columns \
         WHERE table_schema = ? AND table_name = ? AND extra NOT LIKE '%GENERATED%' \
         ORDER BY ordinal_position";
    let columns = sqlx::query_scalar(columns).bind(database).bind(table);
    let columns: Vec<String> = columns.fetch_all(connection).await.unwrap();
    let quoted: Vec<String> = columns.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// What `statement` shows, behind the name.
async fn show(connection: &mut MySqlConnection, statement: String) -> String {
    let shown = connection
        .fetch_one(raw_sql(AssertSqlSafe(statement)))
        .await;
    let shown = shown.unwrap();
    shown.try_get_unchecked(1).unwrap()
}
