//! The tables of PostgreSQL, and those of MariaDB and MySQL, are those of SQLite.

use std::collections::BTreeSet;

use herald_test_databases::{DatabaseKind, TestDatabase};
use rstest::rstest;
use sqlx::{AnyConnection, Row as _};

use super::*;
use crate::StoreOptions;
use crate::location::{DatabaseFile, Location};
use crate::open::prepare;

/// What is not the same on purpose, by the beginning of its line below: the log of a file is known by a mark; connections to a
/// server count each for itself, and can be lost while they commit; PostgreSQL carries itself what nodes tell each other; wills of a
/// server that has a file are published by nobody else, and it counts sign-ins in memory.
const DIFFERENT: [&str; 10] = [
    "log_mark",
    "mqtt_wills",
    "sign_ins",
    "node_frames",
    "shared_frames",
    "last_commits",
    "message_counts",
    "inbox_epoch",
    "inbox_changes",
    "epochs",
];

/// A column or an index, as one line.
type Lines = BTreeSet<String>;

async fn rows(conn: &mut AnyConnection, text: &'static str) -> Lines {
    let rows = sqlx::query(text).fetch_all(conn).await.unwrap();
    let lines = rows.iter().map(|row| row.get::<String, _>("line"));
    lines
        .filter(|line| !line.starts_with("_sqlx") && !line.starts_with("sqlite_"))
        .filter(|line| !DIFFERENT.iter().any(|other| line.starts_with(other)))
        .collect()
}

/// The columns of a SQLite database: table, name, type, whether it may be NULL, and its default.
const SQLITE_COLUMNS: &str = "SELECT t.name || '.' || c.name || ' ' || c.type
        || CASE WHEN c.\"notnull\" = 1 THEN ' NOT NULL' ELSE '' END || COALESCE(' DEFAULT ' || c.dflt_value, '') AS line
    FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type IN ('table', 'view')";

const POSTGRES_COLUMNS: &str = "SELECT CAST(table_name || '.' || column_name || ' '
        || CASE data_type WHEN 'bytea' THEN 'BLOB' ELSE upper(data_type) END
        || CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END || COALESCE(' DEFAULT ' || column_default, '') AS TEXT) AS line
    FROM information_schema.columns WHERE table_schema = current_schema() AND is_generated = 'NEVER'";

/// The indexes: table, columns, whether it is unique, and the condition; those that a constraint makes, too.
const SQLITE_INDEXES: &str = "SELECT t.name || ' (' || (SELECT group_concat(c.name, ', ') FROM pragma_index_info(i.name) c) || ')'
        || CASE WHEN i.\"unique\" = 1 THEN ' UNIQUE' ELSE '' END
        || CASE WHEN i.origin = 'c' THEN ' ' || i.name ELSE '' END
        || CASE WHEN i.partial = 1
            THEN ' WHERE ' || (SELECT substr(sql, instr(sql, 'WHERE ') + 6) FROM sqlite_schema s WHERE s.name = i.name)
            ELSE '' END AS line
    FROM sqlite_schema t JOIN pragma_index_list(t.name) i WHERE t.type = 'table'";

const POSTGRES_INDEXES: &str = "SELECT CAST(t.relname || ' (' || (
            SELECT string_agg(a.attname, ', ' ORDER BY k.n)
            FROM unnest(x.indkey) WITH ORDINALITY AS k (attnum, n)
            JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum) || ')'
        || CASE WHEN x.indisunique THEN ' UNIQUE' ELSE '' END
        || CASE WHEN c.conname IS NULL THEN ' ' || i.relname ELSE '' END
        || COALESCE(' WHERE ' || regexp_replace(pg_get_expr(x.indpred, x.indrelid), '^\\(|\\)$|::text', '', 'g'), '') AS TEXT) AS line
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
    LEFT JOIN pg_constraint c ON c.conindid = x.indexrelid AND c.contype IN ('p', 'u')
    WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())";

/// What each table refers to, and what becomes of it then.
const SQLITE_REFERENCES: &str =
    "SELECT t.name || '.' || f.\"from\" || ' ' || f.\"table\" || '.' || f.\"to\" || ' '
        || f.on_delete AS line
    FROM sqlite_schema t JOIN pragma_foreign_key_list(t.name) f WHERE t.type = 'table'";

const POSTGRES_REFERENCES: &str = "SELECT CAST(t.relname || '.' || a.attname || ' ' || r.relname || '.' || b.attname || ' '
        || CASE c.confdeltype WHEN 'c' THEN 'CASCADE' ELSE CAST(c.confdeltype AS TEXT) END AS TEXT) AS line
    FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class r ON r.oid = c.confrelid
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]
    WHERE c.contype = 'f'";

/// Each text column is compared byte by byte.
const OTHER_COLLATIONS: &str = "SELECT CAST(table_name || '.' || column_name AS TEXT) AS line
    FROM information_schema.columns WHERE table_schema = current_schema() AND data_type = 'text'
    AND collation_name IS DISTINCT FROM 'C'";

/// Texts have several types there. A column that is computed is a key for one that is too long.
const MYSQL_COLUMNS: &str = "SELECT CAST(CONCAT(table_name, '.', column_name, ' ',
        CASE WHEN data_type IN ('varchar', 'text', 'longtext') THEN 'TEXT' WHEN data_type = 'longblob' THEN 'BLOB'
            ELSE UPPER(data_type) END,
        CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END,
        CASE WHEN COALESCE(column_default, 'NULL') = 'NULL' THEN '' ELSE CONCAT(' DEFAULT ', column_default) END) AS CHAR) AS line
    FROM information_schema.columns WHERE table_schema = DATABASE() AND extra NOT LIKE '%GENERATED%'";

const MYSQL_INDEXES: &str = "SELECT CAST(CONCAT(table_name, ' (',
        GROUP_CONCAT(column_name ORDER BY seq_in_index SEPARATOR ', '), ')',
        CASE MAX(non_unique) WHEN 0 THEN ' UNIQUE' ELSE '' END,
        CASE WHEN index_name IN ('PRIMARY', MIN(column_name)) THEN '' ELSE CONCAT(' ', index_name) END) AS CHAR) AS line
    FROM information_schema.statistics WHERE table_schema = DATABASE() GROUP BY table_name, index_name";

const MYSQL_REFERENCES: &str = "SELECT CAST(CONCAT(k.table_name, '.', k.column_name, ' ',
        k.referenced_table_name, '.', k.referenced_column_name, ' ', r.delete_rule) AS CHAR) AS line
    FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r
        ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name
    WHERE k.constraint_schema = DATABASE()";

const MYSQL_OTHER_COLLATIONS: &str =
    "SELECT CAST(CONCAT(table_name, '.', column_name) AS CHAR) AS line
    FROM information_schema.columns WHERE table_schema = DATABASE()
    AND collation_name NOT IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')";

/// The index that SQLite has and PostgreSQL has not, and what PostgreSQL has instead, as a key would be too long.
const SQLITE_NOT_POSTGRES: [&str; 1] = ["retained (topic) UNIQUE"];
const POSTGRES_ALONE: [&str; 2] = ["retained (topic_hash) UNIQUE", "retained_by_topic"];

/// The indexes that SQLite has and MySQL has not, and what MySQL has alone: another one does as well, or a key is too long.
const SQLITE_ALONE: [&str; 6] = [
    "users_with_delay",
    // MySQL has one for the three.
    "messages_due",
    "messages_leased",
    "(status, processed_at, id) messages_ended",
    "messages_queued_of_user",
    "retained (topic) UNIQUE",
];
const MYSQL_ALONE: [&str; 5] = [
    "messages_by_time",
    "retained_topic_hash",
    "retained_topic",
    // What looks for them would wait for all that are written.
    "retained_by_expiry",
    // Nothing reads it.
    "row_id",
];

/// How MySQL has an index of SQLite: without a condition, and a status in it is the first column instead.
fn index_of_mysql(line: &str) -> String {
    let Some((index, condition)) = line.split_once(" WHERE ") else {
        return line.to_owned();
    };
    match condition.starts_with("status = ") {
        true => index.replacen('(', "(status, ", 1),
        false => index.to_owned(),
    }
}

#[rstest]
#[case::postgres("postgres", &POSTGRES)]
#[case::mysql("mysql", &MYSQL)]
fn every_file_of_the_folder_is_a_migration(
    #[case] folder: &str,
    #[case] migrations: &[(i64, &str, &str)],
) {
    let folder = format!("{}/../migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap();
    let files: BTreeSet<_> = files
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let listed = migrations
        .iter()
        .map(|(version, name, _)| format!("{version:04}_{name}.sql"));
    assert_eq!(files, listed.collect());
}

/// A new database file.
async fn sqlite() -> (tempfile::TempDir, AnyConnection) {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
    let file = Location::File(DatabaseFile::parse(&options.url).unwrap());
    let (conn, _) = prepare(&file).await.unwrap();
    (dir, conn)
}

fn compare(sqlite: &Lines, other: &Lines) {
    assert!(sqlite.len() > 8, "{sqlite:#?}");
    let only_sqlite: Vec<_> = sqlite.difference(other).collect();
    let only_other: Vec<_> = other.difference(sqlite).collect();
    assert!(
        only_sqlite.is_empty() && only_other.is_empty(),
        "only SQLite has {only_sqlite:#?}, only the other {only_other:#?}"
    );
}

/// Those lines that are not in both on purpose.
fn without(lines: Lines, alone: &[&str]) -> Lines {
    let is_alone = |line: &str| alone.iter().any(|name| line.contains(name));
    lines.into_iter().filter(|line| !is_alone(line)).collect()
}

#[tokio::test]
async fn postgres_has_the_same_columns_indexes_and_references() {
    let Some(database) = TestDatabase::empty(DatabaseKind::Postgres).await else {
        return;
    };
    let location = Location::parse(database.url().into()).unwrap();
    let (mut postgres, _) = prepare(&location).await.unwrap();
    let (_dir, mut sqlite) = sqlite().await;
    for (one, other) in [
        (SQLITE_COLUMNS, POSTGRES_COLUMNS),
        (SQLITE_INDEXES, POSTGRES_INDEXES),
        (SQLITE_REFERENCES, POSTGRES_REFERENCES),
    ] {
        let one = without(rows(&mut sqlite, one).await, &SQLITE_NOT_POSTGRES);
        let other = rows(&mut postgres, other).await;
        compare(&one, &without(other, &POSTGRES_ALONE));
    }
    let other = rows(&mut postgres, OTHER_COLLATIONS).await;
    assert!(other.is_empty(), "{other:?}");
}

#[rstest]
#[tokio::test]
async fn mysql_has_the_same_columns_indexes_and_references(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    let Some(database) = TestDatabase::empty(kind).await else {
        return;
    };
    let location = Location::parse(database.url().into()).unwrap();
    let (mut mysql, _) = prepare(&location).await.unwrap();
    let (_dir, mut sqlite) = sqlite().await;
    for (one, other) in [
        (SQLITE_COLUMNS, MYSQL_COLUMNS),
        (SQLITE_REFERENCES, MYSQL_REFERENCES),
    ] {
        let one = rows(&mut sqlite, one).await;
        compare(&one, &without(rows(&mut mysql, other).await, &MYSQL_ALONE));
    }
    let one = without(rows(&mut sqlite, SQLITE_INDEXES).await, &SQLITE_ALONE);
    let one = one.iter().map(|line| index_of_mysql(line)).collect();
    compare(
        &one,
        &without(rows(&mut mysql, MYSQL_INDEXES).await, &MYSQL_ALONE),
    );
    let other = rows(&mut mysql, MYSQL_OTHER_COLLATIONS).await;
    let other: Vec<_> = other
        .iter()
        .filter(|line| !line.starts_with("_sqlx"))
        .collect();
    assert!(other.is_empty(), "{other:?}");
}
