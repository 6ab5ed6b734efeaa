//! The list of tables is that of the tables that there are, and memory is bounded.

use std::collections::BTreeSet;

use herald_test_databases::{DatabaseKind, TestDatabase};
use sqlx::{Executor as _, Row as _};

use super::database::Database;
use super::tables::{Kind, OTHERS, TABLES};
use super::walk::Walk;
use crate::dialect::row_refusal;
use crate::location::Location;
use crate::open::prepare;
use crate::statement::Statement;

/// A new database with all tables; `None` if this kind is not tested.
async fn database(kind: DatabaseKind) -> Option<(TestDatabase, Database)> {
    let database = TestDatabase::empty(kind).await?;
    let location = Location::parse(database.url().into()).unwrap();
    let (conn, _) = prepare(&location).await.unwrap();
    let conn = Database::new(&location, conn).await.unwrap();
    Some((database, conn))
}

async fn names(database: &mut Database) -> BTreeSet<String> {
    let tables = database.dialect.tables();
    let rows = database.with(async |conn, _| conn.fetch_all(tables).await);
    rows.await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn check_names(kind: DatabaseKind) {
    let Some((_database, mut database)) = database(kind).await else {
        return;
    };
    let there = names(&mut database).await;
    let copied: BTreeSet<_> = TABLES.iter().map(|table| table.name.to_owned()).collect();
    let known: BTreeSet<_> = copied
        .iter()
        .cloned()
        .chain(OTHERS.map(str::to_owned))
        .collect();
    assert!(copied.is_subset(&there), "{copied:?} of {there:?}");
    let forgotten: Vec<_> = there.difference(&known).collect();
    assert!(
        forgotten.is_empty(),
        "{forgotten:?} are not copied: put them into TABLES, or into OTHERS and say why"
    );
}

#[tokio::test]
async fn each_table_is_copied_or_known_not_to_be() {
    check_names(DatabaseKind::Sqlite).await;
    check_names(DatabaseKind::Postgres).await;
    check_names(DatabaseKind::MariaDb).await;
}

/// Those of other databases are the same, as another test finds.
#[tokio::test]
async fn each_column_is_copied_and_the_primary_key_is_first() {
    let (_database, mut database) = database(DatabaseKind::Sqlite).await.unwrap();
    for table in &TABLES {
        let text = "SELECT name, type, pk FROM pragma_table_info($1) ORDER BY pk = 0, pk";
        let columns = Statement::new(text).bind(table.name);
        let columns = database.with(async |conn, dialect| {
            let query = columns.query(dialect)?;
            query.fetch_all(conn).await
        });
        let (mut there, mut key) = (BTreeSet::new(), vec![]);
        for column in columns.await.unwrap() {
            let name: String = column.get("name");
            let kind = match column.get("type") {
                "TEXT" => "Text",
                "BIGINT" => "Int",
                "BLOB" => "Bytes",
                other => panic!("{}.{name} is {other}", table.name),
            };
            if column.get::<i64, _>("pk") > 0 {
                key.push(name.clone());
            }
            there.insert((name, kind.to_owned()));
        }
        let listed = table.columns.iter();
        let listed = listed.map(|(name, kind)| ((*name).to_owned(), format!("{kind:?}")));
        assert_eq!(listed.collect::<BTreeSet<_>>(), there, "{}", table.name);
        assert_eq!(table.names()[..table.key], key, "{}", table.name);
    }
}

#[test]
fn a_table_stands_behind_those_that_it_refers_to() {
    let of = |name: &str| TABLES.iter().position(|table| table.name == name).unwrap();
    for (table, other) in [
        ("inboxes", "users"),
        ("user_queues", "users"),
        ("sessions", "users"),
        ("tokens", "sessions"),
        ("messages", "users"),
        ("failed_attempts", "messages"),
        ("notifications", "users"),
        ("cursors", "users"),
    ] {
        assert!(of(table) > of(other), "{table} and {other}");
    }
    let own = TABLES.iter().filter(|table| table.refers.is_some());
    for table in own {
        let place = table.place(table.refers.unwrap()).unwrap();
        assert_eq!(table.columns[place].1, Kind::Text);
        assert_eq!(table.key, 1);
    }
}

async fn check_pages(kind: DatabaseKind) {
    let Some((_database, mut database)) = database(kind).await else {
        return;
    };
    let retained = TABLES
        .iter()
        .find(|table| table.name == "retained")
        .unwrap();
    let mut lengths = vec![];
    for number in 0..400_usize {
        // Small ones, then some of 1 MiB, then small ones again.
        let length = if (150..170).contains(&number) {
            1 << 20
        } else {
            number
        };
        lengths.push(length + 4 + 8 + 8);
        let row =
            Statement::new("INSERT INTO retained (topic, payload, attributes) VALUES ($1, $2, '')");
        let row = row.bind(format!("{number:04}")).bind(vec![7; length]);
        let written = database.with(async |conn, dialect| row.query(dialect)?.execute(conn).await);
        written.await.unwrap();
    }
    let mut walk = Walk::all(&mut database, retained);
    let (mut read, mut pages) = (vec![], vec![]);
    loop {
        let page = walk.page().await.unwrap();
        if page.is_empty() {
            break;
        }
        pages.push(page.len());
        let bytes: usize = page.iter().map(super::row::Row::bytes).sum();
        assert!(bytes < 5 << 20, "{bytes}");
        read.extend(page.iter().map(super::row::Row::bytes));
    }
    assert_eq!(read, lengths);
    assert!(pages.len() < 20, "{pages:?}");
}

#[tokio::test]
async fn a_page_holds_a_limited_number_of_bytes_and_none_is_left_out() {
    check_pages(DatabaseKind::Sqlite).await;
    check_pages(DatabaseKind::Postgres).await;
    check_pages(DatabaseKind::MariaDb).await;
}

/// What a server has for a role or a database, and would end what lasts long.
const HASTY: [(DatabaseKind, &str, &str); 2] = [
    (
        DatabaseKind::Postgres,
        "SET idle_session_timeout = '1s'; SET idle_in_transaction_session_timeout = '1s'; SET statement_timeout = '1s'",
        "SELECT COUNT(*) FROM pg_settings WHERE setting <> '0' AND name IN ('idle_session_timeout',
            'idle_in_transaction_session_timeout', 'statement_timeout', 'transaction_timeout')",
    ),
    (
        DatabaseKind::MariaDb,
        "SET idle_transaction_timeout = 1, idle_readonly_transaction_timeout = 1, idle_write_transaction_timeout = 1,
            max_statement_time = 1, wait_timeout = 1, net_write_timeout = 1",
        "SELECT @@idle_transaction_timeout + @@idle_readonly_transaction_timeout + @@idle_write_transaction_timeout
            + (@@max_statement_time > 0) + (@@wait_timeout < 28800) + (@@net_write_timeout < 3600)",
    ),
];

#[tokio::test]
async fn nothing_ends_a_copy_that_lasts_long() {
    for (kind, hasty, left) in HASTY {
        let Some(database) = TestDatabase::empty(kind).await else {
            continue;
        };
        let location = Location::parse(database.url().into()).unwrap();
        let (mut conn, _) = prepare(&location).await.unwrap();
        conn.execute(hasty).await.unwrap();
        let mut database = Database::new(&location, conn).await.unwrap();
        let left = database.number(Statement::new(left)).await.unwrap();
        assert_eq!(left, 0, "{kind}");
    }
}

#[tokio::test]
async fn a_row_that_is_refused_is_not_quoted() {
    for kind in [DatabaseKind::Postgres, DatabaseKind::MariaDb] {
        let Some((_database, mut database)) = database(kind).await else {
            continue;
        };
        for (text, said) in [
            ("INSERT INTO epochs (id, epoch) VALUES (7, 's3cret')", ""),
            (
                "INSERT INTO settings (name, value) VALUES ('s3cret', ''), ('s3cret', '')",
                "key",
            ),
            (
                "INSERT INTO counters (name, value) VALUES ('x', 's3cret')",
                "",
            ),
        ] {
            let refused = database.with(async |conn, _| {
                let error = conn.execute(text).await.unwrap_err();
                Ok(row_refusal(&error))
            });
            let refused = refused.await.unwrap();
            assert!(refused.contains(said), "{kind}: {refused}");
            assert!(!refused.contains("s3cret"), "{kind}: {refused}");
        }
    }
}
