//! Retained messages whose topics are longer than what a database sorts by, or has an index of.

use herald_test_databases::DatabaseKind;
use rstest::rstest;

use crate::common::{copy, dump, empty, execute, file, file_with, migrated};

/// Topics of 401 characters that differ in the last one alone, put in in this order; before them as many that the first of them
/// is the last of a page, and after them many more.
fn topics(kind: DatabaseKind, last: &[char], before: usize) -> String {
    let long = match kind {
        DatabaseKind::Sqlite => "printf('%.400c', 'x')",
        _ => "REPEAT('x', 400)",
    };
    let short = (0..before).map(|number| format!("'a{number:04}'"));
    let long = last.iter().map(|last| match kind {
        DatabaseKind::MariaDb => format!("CONCAT({long}, '{last}')"),
        _ => format!("{long} || '{last}'"),
    });
    let after = (0..100).map(|number| format!("'y{number:04}'"));
    let topics = short.chain(long).chain(after);
    let payload = match kind {
        DatabaseKind::Sqlite => "x'00'",
        _ => "'payload'",
    };
    let rows = topics.map(|topic| format!("({topic}, {payload}, '', NULL)"));
    let rows = rows.collect::<Vec<_>>().join(", ");
    format!("INSERT INTO retained (topic, payload, attributes, expires_at) VALUES {rows}")
}

#[rstest]
#[tokio::test]
async fn topics_with_a_long_beginning_in_common_are_copied(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
    #[values(&['a', 'b'], &['b', 'a'])] last: &[char],
    // A page has 64 rows at first: the first of them is its last.
    #[values(0, 63)] before: usize,
) {
    let (Some(one), Some(other)) = (migrated(kind).await, empty(kind).await) else {
        return;
    };
    execute(&one, topics(kind, last, before)).await;
    let (first, second) = (file().await, file().await);
    let copied = copy(&one, &first).await.unwrap();
    assert_eq!(copied.rows_of("retained"), before as u64 + 102);
    copy(&one, &other).await.unwrap();
    copy(&other, &second).await.unwrap();
    assert_eq!(dump(&first).await, dump(&second).await);
}

/// A file holds topics of any length.
#[rstest]
#[tokio::test]
async fn topics_that_are_longer_than_a_key_are_copied(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
) {
    let Some(between) = empty(kind).await else {
        return;
    };
    let from = file_with(
        r"INSERT INTO retained (topic, payload, attributes) VALUES
            ('a' || hex(randomblob(30000)), x'00', ''), ('a' || hex(randomblob(30000)), x'01', ''), ('\', x'02', ''),
            ('\x00', x'03', ''), ('\\', x'04', '')",
    )
    .await;
    copy(&from, &between).await.unwrap();
    let back = file().await;
    copy(&between, &back).await.unwrap();
    assert_eq!(dump(&from).await, dump(&back).await);
}
