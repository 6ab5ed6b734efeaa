//! The same on MariaDB and MySQL, where what is walked through is locked, too.

use herald_store::{Store, StoreOptions};
use herald_test_databases::{DatabaseKind, TestDatabase};
use rstest::rstest;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, Row as _, raw_sql};

use crate::workload::{rules_and_retained, settings, signed_in, user, whole_way};
use crate::{LARGE, READ_WHOLE, RUNNING, statements};

/// So many rows are not read of a table by chance.
const MANY: i64 = 1000;

/// What the store does not say of its tables.
const OTHERS: [&str; 6] = [
    "SET ",
    "information_schema",
    "_LOCK(",
    "VERSION()",
    "SHOW ",
    "ALTER ",
];

/// Many users with many messages and notifications.
const FILL: &str = "INSERT INTO users (id, username, role, password_hash, created_at)
    WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 99)
    SELECT CONCAT('many', a.n, '.', b.n), CONCAT('many', a.n, '.', b.n), 'user', '', 0 FROM n a CROSS JOIN n b WHERE b.n < 20;
    INSERT INTO user_queues (user_id, open, turn_at) SELECT id, 1, 1000000 FROM users WHERE id LIKE 'many%';
    INSERT INTO inboxes (user_id) SELECT id FROM users WHERE id LIKE 'many%';
    INSERT INTO messages (id, user_id, body, status, created_at, run_at, processed_at)
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10)
    SELECT CONCAT(id, '.', n), id, '', CASE WHEN n < 8 THEN 'queued' ELSE 'processed' END, 0, 1000000 + n, CASE WHEN n < 8 THEN NULL ELSE 5 END
    FROM users CROSS JOIN n WHERE id LIKE 'many%';
    INSERT INTO notifications (user_id, seq, message_id, status, attempts, created_at)
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10)
    SELECT id, n, CONCAT(id, '.', n), 'processed', 1, 0 FROM users CROSS JOIN n WHERE id LIKE 'many%';
    ANALYZE TABLE users, user_queues, inboxes, messages, notifications";

/// The statement with something for each parameter: how many rows it finds does not matter.
fn filled(sql: &str) -> String {
    let sql = sql
        .replace("LIMIT ?", "LIMIT 9")
        .replace("OFFSET ?", "OFFSET 9");
    let parts = sql.split('\'').enumerate();
    let parts = parts.map(|(number, part)| match number % 2 {
        0 => part.replace('?', "'1'"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("'")
}

/// The tables of which a statement reads all or nearly all.
async fn scans(conn: &mut MySqlConnection, sql: &str) -> Vec<String> {
    let explain = raw_sql(AssertSqlSafe(format!("EXPLAIN {}", filled(sql))));
    let plan = conn.fetch_all(explain).await;
    let plan = plan.unwrap_or_else(|error| panic!("{error}: {sql}"));
    let step = |row: &sqlx::mysql::MySqlRow| {
        let table: Option<String> = row.get_unchecked("table");
        let access: Option<String> = row.get_unchecked("type");
        let rows: Option<String> = row.get_unchecked("rows");
        // MariaDB adds how many of them another index lets pass: `90 (5%)`.
        let rows = rows.unwrap_or_default();
        let rows = rows.split(' ').next().unwrap_or_default();
        let rows: i64 = rows.parse().unwrap_or(0);
        let table = table.filter(|table| LARGE.contains(&table.as_str()))?;
        let is_scan = matches!(access.as_deref(), Some("ALL" | "index")) && rows > MANY;
        is_scan.then_some(format!("{rows} of {table}"))
    };
    plan.iter().filter_map(step).collect()
}

/// Whether a statement sorts what it reads.
async fn sorts(conn: &mut MySqlConnection, sql: &str) -> bool {
    let explain = raw_sql(AssertSqlSafe(format!("EXPLAIN {}", filled(sql))));
    let plan = conn.fetch_all(explain).await.unwrap();
    let extra = |row: &sqlx::mysql::MySqlRow| row.get_unchecked::<Option<String>, _>("Extra");
    let mut extras = plan.iter().filter_map(extra);
    extras.any(|extra| extra.contains("filesort"))
}

#[rstest]
#[tokio::test]
async fn no_statement_of_a_messages_way_reads_a_whole_table(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    // Before the database is made, and until it is gone: that takes statements, too.
    let _one = RUNNING.lock().await;
    let Some(database) = TestDatabase::empty(kind).await else {
        return;
    };
    let log = statements::log();
    let options = StoreOptions::at(database.url().into());
    let store = Store::open(options).await.unwrap();
    let mut users = vec![];
    for number in 0..4 {
        users.push(user(&store, number).await);
    }
    log.take();
    whole_way(&store, &users).await;
    settings(&store, &users[1]).await;
    rules_and_retained(&store).await;
    signed_in(&store, &users[0]).await;
    let statements = log.take();
    assert!(statements.len() > 100, "{}", statements.len());

    let mut conn = MySqlConnection::connect(database.url()).await.unwrap();
    conn.execute(raw_sql(FILL)).await.unwrap();
    let whole = scans(&mut conn, "SELECT body FROM messages").await;
    assert_eq!(whole.len(), 1);
    for sql in &statements {
        let is_other = OTHERS.iter().any(|other| sql.contains(other));
        if is_other || READ_WHOLE.iter().any(|whole| sql.contains(whole)) {
            continue;
        }
        let scans = scans(&mut conn, sql).await;
        assert!(scans.is_empty(), "{scans:?}: {sql}");
    }
    let by_time = |sql: &&String| {
        ["ORDER BY status_at", "ORDER BY m.status_at"]
            .iter()
            .any(|order| sql.contains(order))
    };
    let by_time: Vec<_> = statements.iter().filter(by_time).collect();
    assert!(by_time.len() > 6, "{by_time:#?}");
    for sql in by_time {
        assert!(!sorts(&mut conn, sql).await, "{sql}");
    }
    let oldest = statements.iter().find(|sql| sql.contains("AS run_at"));
    let plan = raw_sql(AssertSqlSafe(format!("EXPLAIN {}", oldest.unwrap())));
    let plan = conn.fetch_one(plan).await.unwrap();
    let extra: String = plan.get_unchecked("Extra");
    assert!(extra.contains("Using index"), "{extra}");
    store.close().await;
    conn.close().await.unwrap();
}
