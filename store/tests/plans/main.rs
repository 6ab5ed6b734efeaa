//! However much the database holds, no statement of the message's way, of signing in or of rights reads a whole table.
//!
//! The statements are those that the store really runs, as its database library logs them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod statements;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use herald_acl::{Actions, Effect, FilterTemplate, Role, Subject};
use herald_store::{
    Acknowledged, AuditFilter, CreateRule, CreateUser, DeadFilter, Delay, Job, NewSession,
    NewToken, Outcome, RetainedChange, RetainedMessage, RuleContent, RuleId, Scopes, Seq, Status,
    Store, StoreOptions, Timestamp, TokenOrigin, UserId,
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _, SqliteConnection};

/// The tables that grow, and what statements call them.
const LARGE: [&str; 19] = [
    "messages",
    "m",
    "notifications",
    "n",
    "user_queues",
    "l",
    "users",
    "u",
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

/// What is to read a whole table: the rules, of which there are at most `MAX_RULES`, and at a start what is retained.
const READ_WHOLE: [&str; 5] = [
    "FROM acl_rules ORDER BY id",
    "WHERE (SELECT COUNT(*) FROM acl_rules) < $9",
    "DELETE FROM acl_rules WHERE subject_kind = 'user' AND",
    "FROM retained ORDER BY topic",
    "DELETE FROM retained WHERE expires_at <= $1",
];

const LEASE: Duration = Duration::from_secs(30);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

async fn open(dir: &Path) -> Store {
    let options = StoreOptions::sqlite(&dir.join("herald.db"));
    Store::open(options).await.unwrap()
}

async fn connect(dir: &Path) -> SqliteConnection {
    let url = format!("sqlite://{}", dir.join("herald.db").display());
    SqliteConnection::connect(&url).await.unwrap()
}

async fn user(store: &Store, number: usize) -> UserId {
    let name = format!("user{number}").parse().unwrap();
    let created = store.create_user(&name, Role::User, "", at(0)).await;
    match created.unwrap() {
        CreateUser::Created(user) => user.id,
        CreateUser::Taken => panic!("{name} is taken"),
    }
}

async fn claim(store: &Store, count: usize) -> Vec<Job> {
    let mut jobs = vec![];
    while jobs.len() < count {
        jobs.extend(store.claim(10, LEASE, at(1)).await.unwrap());
    }
    jobs
}

/// Everything that happens to a message from its acceptance until it is forgotten.
async fn whole_way(store: &Store, users: &[UserId]) {
    store.release_all().await.unwrap();
    store.ahead_of_clock(at(0)).await.unwrap();
    let delay = Delay::Fixed { ms: 0 };
    store.set_delay(delay, false).await.unwrap();
    for user in users {
        let key = Some("key".to_owned());
        for key in [None, None, None, key.clone(), key] {
            store
                .accept(user, "hello".into(), key, at(0))
                .await
                .unwrap();
        }
    }
    let jobs = claim(store, 4 * users.len()).await;
    store.renew(&jobs[0], LEASE, at(2)).await.unwrap();
    let later = store.retry_later(&jobs[0], "late".into(), at(3), at(2));
    assert!(later.await.unwrap());
    let cancelled = store
        .remove_message(&jobs[0].user_id, &jobs[0].id, None, at(2))
        .await;
    cancelled.unwrap();
    for job in &jobs[1..] {
        let error = "dead".to_owned();
        let finished = store.finish(job, Outcome::Dead { error }, at(2)).await;
        finished.unwrap().unwrap();
    }
    store.retry(&jobs[1].id, at(3)).await.unwrap();
    store.put_back(&jobs[1], "out".into(), at(3)).await.unwrap();
    let of_one = DeadFilter {
        user: Some(users[0].clone()),
        ..DeadFilter::default()
    };
    store.retry_dead(&of_one, None, at(3)).await.unwrap();
    store.next_due().await.unwrap();
    store.counts().await.unwrap();
    store.oldest_due().await.unwrap();
    let mut acks = vec![];
    for user in users {
        let client = Arc::from("client");
        store.cursor(user, &client, Seq::NONE, at(3)).await.unwrap();
        store
            .set_cursor(user, &client, Seq(1), at(3))
            .await
            .unwrap();
        store.skip(user, &client, Seq(1), at(3)).await.unwrap();
        store.position(user).await.unwrap();
        let inbox = store.notifications(user, Seq::NONE, 10, 1000).await;
        inbox.unwrap();
        // Those under way are few, and all of an index.
        for status in Status::ALL.into_iter().filter(|s| *s != Status::Processing) {
            let status = Some(status);
            store.messages(user, status, None, 10).await.unwrap();
            for user in [None, Some(user)] {
                store.all_messages(status, user, None, 10).await.unwrap();
            }
        }
        store.messages(user, None, None, 10).await.unwrap();
        store.list_notifications(user, Seq::NONE, 10).await.unwrap();
        store.message(user, &jobs[0].id).await.unwrap();
        acks.push(Acknowledged {
            user: user.clone(),
            client_id: Some(client),
            up_to: Seq(2),
        });
    }
    store.failed_attempts(&jobs[0].id, 10).await.unwrap();
    for job in &jobs {
        let removed = store.remove_message(&job.user_id, &job.id, None, at(4));
        removed.await.unwrap();
    }
    store.acknowledge(&acks, at(4)).await.unwrap();
    store.prune(at(100)).await.unwrap();
    store.ping().await.unwrap();
}

/// Everything that happens to access rules, and to what is retained.
async fn rules_and_retained(store: &Store) {
    let content = RuleContent {
        subject: Subject::Everyone,
        actions: Actions::Both,
        effect: Effect::Allow,
        filter: FilterTemplate::parse("lamps/#").unwrap(),
        description: None,
    };
    let created = store.create_rule(content.clone(), at(1)).await.unwrap();
    let CreateRule::Created(created) = created else {
        panic!("there is room")
    };
    let id = RuleId::from_string(created.rule.id);
    store.rule(&id).await.unwrap();
    store.replace_rule(&id, content, at(2)).await.unwrap();
    store.rules().await.unwrap();
    for after in [None, Some(&id)] {
        store.list_rules(after, 10).await.unwrap();
    }
    store.delete_rule(&id, at(3)).await.unwrap();
    store.rights_changes(0).await.unwrap();
    store.last_rights_change().await.unwrap();

    let lamp = RetainedMessage {
        topic: "lamp".into(),
        payload: "on".into(),
        attributes: String::new(),
        expires_at: None,
    };
    let topic = lamp.topic.clone();
    let changes = vec![RetainedChange::Set(lamp), RetainedChange::Clear { topic }];
    store.save_retained(changes).await.unwrap();
    store.retained(at(4)).await.unwrap();
}

/// Everything that happens to what somebody signs in with, and to the account in the end.
async fn signed_in(store: &Store, user: &UserId) {
    let session = NewSession {
        password_hash: String::new(),
        secret_hash: "session".into(),
        csrf_token: "csrf".into(),
        address: "192.0.2.1".into(),
        user_agent: None,
        expires_at: at(100),
    };
    store.create_session(user, session, at(1)).await.unwrap();
    let session = store.session("session", at(2)).await.unwrap().unwrap();
    store.touch_session(&session.id, at(3));
    store.list_sessions(user, None, 10, at(3)).await.unwrap();
    let origins = [TokenOrigin::Owner, TokenOrigin::Session(session.id.clone())];
    for (origin, hash) in origins.into_iter().zip(["own", "session's"]) {
        let token = NewToken {
            name: "token".into(),
            scopes: Scopes::default(),
            token_hash: hash.into(),
            expires_at: Some(at(100)),
            origin,
        };
        store.create_token(user, token, at(3)).await.unwrap();
        let (token, _) = store.token_by_hash(hash, at(4)).await.unwrap().unwrap();
        store.touch_token(&token.id, at(4));
        if hash == "own" {
            store.revoke_token(user, &token.id, at(5)).await.unwrap();
        }
    }
    store.list_tokens(user, None, 10).await.unwrap();
    store.list_all_tokens(None, 10).await.unwrap();
    store.list_users(None, 10).await.unwrap();
    store.end_session(user, &session.id, at(6)).await.unwrap();
    for action in [None, Some("a".to_owned())] {
        for actor in [None, Some("ann".to_owned())] {
            let action = action.clone();
            let filter = AuditFilter { action, actor };
            store.audit(&filter, None, 10).await.unwrap();
        }
    }
    store.prune_audit(at(7)).await.unwrap();
    store.list_user_delays(None, 10).await.unwrap();
    store.close_user(user, at(8)).await.unwrap();
    store.empty_user(user).await.unwrap();
    store.remove_user(user).await.unwrap();
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
    whole_way(&store, &users).await;
    rules_and_retained(&store).await;
    signed_in(&store, &users[0]).await;
    let statements = log.take();
    for table in [
        "messages",
        "notifications",
        "user_queues",
        "cursors",
        "acl_rules",
        "retained",
    ] {
        for verb in ["INSERT INTO", "UPDATE", "DELETE FROM"] {
            let verb = format!("{verb} {table}");
            // The queue of a user stays, and a notification does not change.
            // A retained message is replaced by its insertion.
            let never = [
                "UPDATE notifications",
                "DELETE FROM user_queues",
                "UPDATE retained",
            ];
            let never = never.contains(&verb.as_str());
            let found = statements.iter().any(|sql| sql.contains(&verb));
            assert!(found || never, "nothing did {verb}");
        }
    }
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
         SELECT id, 1, 1000000 FROM users WHERE id LIKE 'many%'",
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
