//! However much the database holds, no statement of the message's way, of signing in or of rights reads a whole table.
//!
//! The statements are those that the store really runs, as its database library logs them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mysql;
mod statements;
mod workload;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use herald_store::{Store, StoreOptions};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _, SqliteConnection};

use tokio::sync::Mutex;

use crate::workload::{rules_and_retained, settings, signed_in, user, whole_way};

/// The tables that grow, and what statements call them.
const LARGE: [&str; 21] = [
    "messages",
    "m",
    "notifications",
    "n",
    "user_queues",
    "l",
    "users",
    "u",
    "inboxes",
    "i",
    "cursors",
    "c",
    "failed_attempts",
    "f",
    "sessions",
    "s",
    "tokens",
    "t",
    "audit",
    "acl_rules",
    "retained",
];

/// What is to read a whole table: the rules, of which there are at most `MAX_RULES`, and at a start what has expired.
const READ_WHOLE: [&str; 4] = [
    "FROM acl_rules ORDER BY id",
    "SELECT COUNT(*) AS rules FROM acl_rules",
    "DELETE FROM acl_rules WHERE subject_kind = 'user' AND",
    "DELETE FROM retained WHERE expires_at <=",
];

/// All statements of the process are logged, so one test runs at a time.
static RUNNING: Mutex<()> = Mutex::const_new(());

async fn open(dir: &Path) -> Store {
    let options = StoreOptions::sqlite(&dir.join("herald.db"));
    Store::open(options).await.unwrap()
}

async fn connect(dir: &Path) -> SqliteConnection {
    let url = format!("sqlite://{}", dir.join("herald.db").display());
    SqliteConnection::connect(&url).await.unwrap()
}

/// Whether each parameter is used once and in order, as MySQL has no numbers for them.
fn is_in_order(sql: &str) -> bool {
    let parameters = statements::parameters(sql);
    parameters.iter().copied().eq(1..=parameters.len())
}

/// The steps of a plan that read all of a table that grows.
async fn scans(conn: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let plan = sqlx::query(explain).fetch_all(conn).await.unwrap();
    let steps = plan.iter().map(|step| step.get::<String, _>("detail"));
    let reads_all = |step: &String| {
        let table = step
            .strip_prefix("SCAN ")
            .and_then(|rest| rest.split(' ').next());
        table.is_some_and(|table| LARGE.contains(&table))
    };
    steps.filter(reads_all).collect()
}

/// How many instructions SQLite takes for a query.
async fn cost(conn: &mut SqliteConnection, sql: &str) -> u64 {
    let count = Arc::new(AtomicU64::new(0));
    let counting = count.clone();
    let counts = move || {
        counting.fetch_add(1, Ordering::Relaxed);
        true
    };
    conn.lock_handle()
        .await
        .unwrap()
        .set_progress_handler(1, counts);
    let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    query.fetch_all(&mut *conn).await.unwrap();
    conn.lock_handle().await.unwrap().remove_progress_handler();
    count.load(Ordering::Relaxed)
}

#[tokio::test]
async fn no_statement_of_a_messages_way_reads_a_whole_table() {
    let _one = RUNNING.lock().await;
    let log = statements::log();
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut users = vec![];
    for number in 0..3 {
        users.push(user(&store, number).await);
    }
    store.close().await;

    // From the start on.
    log.take();
    let store = open(dir.path()).await;
    user(&store, users.len()).await;
    whole_way(&store, &users).await;
    settings(&store, &users[1]).await;
    rules_and_retained(&store).await;
    signed_in(&store, &users[0]).await;
    let statements = log.take();
    for table in [
        "messages",
        "notifications",
        "user_queues",
        "inboxes",
        "cursors",
        "acl_rules",
        "retained",
    ] {
        for verb in ["INSERT INTO", "UPDATE", "DELETE FROM"] {
            let verb = format!("{verb} {table}");
            // The queue and the inbox of a user go with the account, and a notification does not change.
            // A retained message is replaced by its insertion.
            let never = [
                "UPDATE notifications",
                "DELETE FROM user_queues",
                "DELETE FROM inboxes",
                "UPDATE retained",
            ];
            let never = never.contains(&verb.as_str());
            let found = statements.iter().any(|sql| sql.contains(&verb));
            assert!(found || never, "nothing did {verb}");
        }
    }
    let out_of_order = statements.iter().filter(|sql| !is_in_order(sql));
    let out_of_order: Vec<_> = out_of_order.collect();
    assert!(
        out_of_order.is_empty(),
        "a parameter is used twice or out of order: {out_of_order:#?}"
    );

    let mut conn = connect(dir.path()).await;
    assert_eq!(scans(&mut conn, "SELECT body FROM messages").await.len(), 1);
    for sql in &statements {
        // In the order of the table or of an index, and no more than one.
        let first = ["ORDER BY rowid DESC LIMIT 1", "ORDER BY run_at LIMIT 1"];
        let is_first = first.iter().any(|order| sql.ends_with(order));
        if is_first || READ_WHOLE.iter().any(|whole| sql.contains(whole)) {
            continue;
        }
        let scans = scans(&mut conn, sql).await;
        assert!(scans.is_empty(), "{scans:?}: {sql}");
    }

    // What the worker asks after each claim, and administrators all the time, costs the same, whatever waits.
    let asked = [
        "lease_until) AS due",
        "FROM message_counts",
        "ORDER BY run_at LIMIT 1",
    ];
    let asked = asked.map(|part| statements.iter().find(|sql| sql.contains(part)).unwrap());
    let mut before = vec![];
    for sql in asked {
        before.push(cost(&mut conn, sql).await);
    }
    store.close().await;
    conn.execute(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 50000)
         INSERT INTO messages (id, user_id, body, status, created_at, run_at)
         SELECT 'many' || n, (SELECT id FROM users LIMIT 1), '', 'queued', 0, 1000000 + n FROM numbers;
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 5000)
         INSERT INTO users (id, username, role, password_hash, created_at)
         SELECT 'many' || n, 'many' || n, 'user', '', 0 FROM numbers;
         INSERT INTO user_queues (user_id, open, turn_at)
         SELECT id, 1, 1000000 FROM users WHERE id LIKE 'many%';
         INSERT INTO inboxes (user_id) SELECT id FROM users WHERE id LIKE 'many%'",
    )
    .await
    .unwrap();
    for (sql, before) in asked.into_iter().zip(before) {
        let after = cost(&mut conn, sql).await;
        assert!(
            after <= before + 20,
            "{before} instructions, then {after}: {sql}"
        );
    }
    conn.close().await.unwrap();
}
