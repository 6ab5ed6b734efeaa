use std::time::Duration;

use sqlx::Executor as _;

use super::*;
use crate::location::DatabaseFile;
use crate::{
    Changed, Delay, MessageId, Outcome, Position, RightsChange, RuleId, Seq, Status, StatusCounts,
    Store, StoreOptions, Timestamp, UserId,
};

#[test]
fn every_file_of_the_folder_is_a_migration() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/sqlite");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let listed = MIGRATIONS.map(|(version, name, _)| format!("{version:04}_{name}.sql"));
    assert_eq!(files, listed);
}

/// Whether a server of the version before goes on with this: it names the columns that it reads and writes.
fn only_adds(sql: &str) -> bool {
    let lines = sql.lines().filter(|line| !line.starts_with("--"));
    let text = lines.collect::<Vec<_>>().join(" ").to_uppercase();
    let mut statements = text.split(';').map(str::trim).filter(|one| !one.is_empty());
    statements.all(|one| {
        let makes = |what: &str| one.starts_with(what);
        let may_be_left_out = !one.contains("NOT NULL") || one.contains("DEFAULT");
        makes("CREATE TABLE ")
            || makes("CREATE INDEX ")
            || makes("ALTER TABLE ") && one.contains(" ADD COLUMN ") && may_be_left_out
    })
}

#[test]
fn a_migration_that_is_named_so_only_adds() {
    let all = MIGRATIONS.iter().chain(&POSTGRES).chain(&MYSQL);
    for (version, name, sql) in all.filter(|(_, name, _)| name.starts_with("add_")) {
        assert!(only_adds(sql), "{version} {name}");
    }
    assert!(only_adds(
        "-- A note.\nCREATE TABLE IF NOT EXISTS notes (id BIGINT NOT NULL);\nALTER TABLE users\n  ADD COLUMN note TEXT;"
    ));
    for changes in [
        "DROP TABLE notes",
        "ALTER TABLE users ADD COLUMN note TEXT NOT NULL",
        "ALTER TABLE users DROP COLUMN note",
        "CREATE TABLE notes (id BIGINT); UPDATE users SET role = 'user'",
        "CREATE UNIQUE INDEX one ON users (role)",
    ] {
        assert!(!only_adds(changes), "{changes}");
    }
}

/// Opens a database that the version with the first `count` migrations made and `sql` filled.
async fn upgraded(count: usize, sql: &'static str) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
    let location = DatabaseFile::parse(&options.url).unwrap();
    std::fs::write(location.path(), "").unwrap();
    let mut conn = location.connect_writer().await.unwrap();
    run_some(
        &mut conn,
        Dialect::Sqlite,
        &MIGRATIONS[..count],
        dialect::BEGIN_WRITE,
    )
    .await
    .unwrap();
    conn.execute(sql).await.unwrap();
    conn.close().await.unwrap();
    (dir, Store::open(options).await.unwrap())
}

/// A message, and what the versions before wrote about it.
const BEFORE_STORED_ONCE: &str = r#"
    INSERT INTO users (id, username, role, password_hash, created_at, last_seq) VALUES ('u', 'ann', 'user', '', 0, 5);
    INSERT INTO messages (id, user_id, body, status, result, error, attempts, created_at, run_at, processed_at) VALUES
        ('echo', 'u', 'a "b"', 'processed', 'a "b"', NULL, 1, 1, 1, 2),
        ('other', 'u', 'c', 'processed', 'd', NULL, 3, 1, 1, 4),
        ('dead', 'u', 'e', 'dead', NULL, '410 Gone', 2, 1, 1, 5),
        ('late', 'u', 'f', 'queued', NULL, 'late', 1, 1, 9, NULL),
        ('new', 'u', 'g', 'queued', NULL, NULL, 0, 1, 9, NULL);
    INSERT INTO failed_attempts (message_id, attempt, error, failed_at) VALUES
        ('other', 1, 'first', 2), ('other', 2, '404', 3), ('dead', 1, 'first', 4);
    INSERT INTO notifications (user_id, seq, message_id, payload, created_at) VALUES
        ('u', 1, 'echo', '{"seq":1,"type":"message.processed","message":{"id":"echo","body":"a \"b\"","status":"processed","result":"a \"b\"","error":null,"attempts":1,"created_at":"1970-01-01T00:00:00.001Z","processed_at":"1970-01-01T00:00:00.002Z"}}', 2),
        ('u', 2, 'other', '{"seq":2,"type":"message.failed","message":{"id":"other","body":"c","status":"dead","result":null,"error":"404","attempts":2,"created_at":"1970-01-01T00:00:00.001Z","processed_at":"1970-01-01T00:00:00.003Z"}}', 3),
        ('u', 3, 'other', '{"seq":3,"type":"message.processed","message":{"id":"other","body":"c","status":"processed","result":"d","error":null,"attempts":3,"created_at":"1970-01-01T00:00:00.001Z","processed_at":"1970-01-01T00:00:00.004Z"}}', 4),
        ('u', 4, 'dead', '{"seq":4,"type":"message.failed","message":{"id":"dead","body":"e","status":"dead","result":null,"error":"410 Gone","attempts":2,"created_at":"1970-01-01T00:00:00.001Z","processed_at":"1970-01-01T00:00:00.005Z"}}', 5),
        ('u', 5, 'gone', 'not JSON', 6);
"#;

#[tokio::test]
async fn what_a_version_before_stored_twice_reads_the_same_when_it_is_stored_once() {
    let (_dir, store) = upgraded(8, BEFORE_STORED_ONCE).await;
    let user = UserId::from_string("u");
    let inbox = store.notifications(&user, Seq::NONE, 10, usize::MAX).await;
    let inbox = inbox.unwrap().items;
    // As they were, but for the epoch.
    let epoch = format!(r#","epoch":"{}""#, store.epoch());
    let payload_of = |n: usize| inbox[n].payload.replacen(&epoch, "", 1);
    let payloads: Vec<_> = BEFORE_STORED_ONCE
        .lines()
        .filter_map(|line| Some(&line[line.find("'{")? + 1..line.rfind("}}'")? + 2]))
        .collect();
    assert_eq!(payloads.len(), 4);
    for (n, payload) in payloads.into_iter().enumerate() {
        assert_eq!(payload_of(n), payload);
    }
    assert_eq!(
        payload_of(4),
        r#"{"seq":5,"type":"message.processed","message":{"id":"gone","body":null,"status":"processed","result":null,"error":null,"attempts":1,"created_at":null,"processed_at":"1970-01-01T00:00:00.006Z","deleted":true}}"#
    );
    for (id, status, result, error) in [
        ("echo", Status::Processed, Some("a \"b\""), None),
        ("other", Status::Processed, Some("d"), None),
        ("dead", Status::Dead, None, Some("410 Gone")),
        ("late", Status::Queued, None, Some("late")),
        ("new", Status::Queued, None, None),
    ] {
        let message = store.message(&user, &MessageId::from_string(id)).await;
        let message = message.unwrap().unwrap();
        let found = (message.result.as_deref(), message.error.as_deref());
        assert_eq!((message.status, found), (status, (result, error)), "{id}");
    }
    store.close().await;
}

#[tokio::test]
async fn what_is_kept_already_is_counted_for_its_user() {
    let (_dir, store) = upgraded(8, BEFORE_STORED_ONCE).await;
    let (user, other) = (UserId::from_string("u"), UserId::from_string("x"));
    let stored = store.stored_bytes(&[&user, &other]).await.unwrap();
    let messages = 5 * 512 + r#"a "b""#.len() + "cefg".len() + "d".len();
    let attempts =
        5 * 64 + "first".len() + "404".len() + "first".len() + "410 Gone".len() + "late".len();
    let expected = messages + attempts + 5 * 128;
    assert_eq!(stored.get(&user), Some(&(expected as u64)));
    assert_eq!(stored.get(&other), None);
    store.close().await;
}

#[tokio::test]
async fn messages_that_there_are_already_are_counted() {
    let (_dir, store) = upgraded(8, BEFORE_STORED_ONCE).await;
    let counts = StatusCounts {
        queued: 2,
        processed: 2,
        dead: 1,
        ..StatusCounts::default()
    };
    assert_eq!(store.counts().await.unwrap(), counts);
    let oldest = store.oldest_due().await.unwrap();
    assert_eq!(oldest.map(|due| due.as_millis()), Some(9));
    store.close().await;
}

#[tokio::test]
async fn whose_turn_it_is_is_kept() {
    let (_dir, store) = upgraded(
        14,
        "INSERT INTO users (id, username, role, password_hash, created_at) VALUES
            ('u', 'ann', 'user', '', 0), ('v', 'bob', 'user', '', 0);
         INSERT INTO messages (id, user_id, body, status, created_at, run_at) VALUES
            ('first', 'u', 'a', 'queued', 1, 1), ('second', 'v', 'b', 'queued', 1, 2);
         INSERT INTO lanes (user_id, open, turn_at, stored_bytes) VALUES
            ('u', 1, 9, 513), ('v', 1, 2, 513);",
    )
    .await;
    let next = store.next_due().await.unwrap();
    assert_eq!(next.map(|due| due.as_millis()), Some(2));
    let (lease, now) = (Duration::from_secs(30), Timestamp::from_millis(10));
    let jobs = store.claim(1, lease, now).await.unwrap();
    assert_eq!(jobs[0].id.as_str(), "second");
    let user = UserId::from_string("u");
    let stored = store.stored_bytes(&[&user]).await.unwrap();
    assert_eq!(stored[&user], 513);
    store.close().await;
}

#[tokio::test]
async fn inboxes_and_cursors_stay_where_they_are_when_they_leave_the_account() {
    let (_dir, store) = upgraded(
        16,
        "INSERT INTO users (id, username, role, password_hash, created_at, last_seq, acked_seq) VALUES
            ('u', 'ann', 'user', 'hash', 0, 2, 1), ('v', 'bob', 'admin', '', 0, 0, 0);
         INSERT INTO tokens (id, user_id, name, scope_api, scope_mqtt, token_hash, created_at) VALUES
            ('t', 'u', 'phone', 1, 0, 'secret', 0);
         INSERT INTO messages (id, user_id, body, status, created_at, run_at, processed_at) VALUES
            ('m', 'u', 'a', 'processed', 1, 1, 2), ('next', 'u', 'b', 'queued', 1, 1, NULL);
         INSERT INTO notifications (user_id, seq, message_id, status, attempts, created_at) VALUES
            ('u', 1, 'gone', 'processed', 1, 2), ('u', 2, 'm', 'processed', 1, 2);
         INSERT INTO cursors (user_id, client_id, seq, updated_at) VALUES ('u', 'phone', 1, 9);
         INSERT INTO user_queues (user_id, open, turn_at, stored_bytes) VALUES ('u', 1, 1, 1282);
         UPDATE inbox_epoch SET changes = 7;",
    )
    .await;
    let (ann, bob) = (UserId::from_string("u"), UserId::from_string("v"));
    let position = |acked, last| Position {
        acked: Seq(acked),
        last: Seq(last),
    };
    let now = Timestamp::from_millis(10);
    assert_eq!(store.position(&ann).await.unwrap(), position(1, 2));
    assert_eq!(store.position(&bob).await.unwrap(), position(0, 0));
    let phone = store.cursor(&ann, &"phone".into(), Seq::NONE, now).await;
    assert_eq!(phone.unwrap(), position(1, 2));
    let (token, owner) = store.token_by_hash("secret", now).await.unwrap().unwrap();
    assert_eq!((token.id.as_str(), owner.id.as_str()), ("t", "u"));
    let stored = store.stored_bytes(&[&ann, &bob]).await.unwrap();
    assert_eq!((stored[&ann], stored[&bob]), (1282, 0));

    // Numbers go on, and are counted as before.
    assert_eq!(store.inbox_progress().await.unwrap().changes, 7);
    let jobs = store.claim(9, Duration::from_secs(30), now).await.unwrap();
    let ended = store.finish(&jobs[0], Outcome::Processed { result: "b".into() }, now);
    let ended = ended.await.unwrap().unwrap();
    assert_eq!(
        (ended.user_id, ended.notification.seq),
        (ann.clone(), Seq(3))
    );
    assert_eq!(store.inbox_progress().await.unwrap().changes, 8);
    // Also of one who had no queue.
    store.accept(&bob, "c".into(), None, now).await.unwrap();
    assert_eq!(store.counts().await.unwrap().queued, 1);
    assert_eq!(store.stored_bytes(&[&bob]).await.unwrap()[&bob], 513);
    assert_eq!(store.position(&ann).await.unwrap(), position(1, 3));
    store.close().await;
}

#[tokio::test]
async fn settings_stay_as_they_are_when_they_get_names() {
    let (_dir, store) = upgraded(
        17,
        r#"INSERT INTO settings (key, value) VALUES ('delay', '{"mode":"fixed","ms":250}'), ('paused', '')"#,
    )
    .await;
    assert_eq!(store.delay().await.unwrap(), Delay::Fixed { ms: 250 });
    assert!(store.is_paused().await.unwrap());
    store.resume().await.unwrap();
    store
        .set_delay(Delay::Fixed { ms: 9 }, false)
        .await
        .unwrap();
    assert_eq!(store.delay().await.unwrap(), Delay::Fixed { ms: 9 });
    assert!(!store.is_paused().await.unwrap());
    store.close().await;
}

#[tokio::test]
async fn changes_of_rights_and_their_numbers_go_on() {
    let (_dir, store) = upgraded(
        17,
        "INSERT INTO rights_changes (kind, username, token_id, at) VALUES
            ('policy', NULL, NULL, 1), ('user', 'ann', NULL, 2), ('token', 'ann', 't', 3), ('policy', NULL, NULL, 4);
         DELETE FROM rights_changes WHERE id IN (1, 4)",
    )
    .await;
    let ann = || "ann".parse().unwrap();
    let change = |id, changed| RightsChange { id, changed };
    let kept = [
        change(2, Changed::User(ann())),
        change(
            3,
            Changed::Credential {
                owner: ann(),
                id: "t".into(),
            },
        ),
    ];
    assert_eq!(store.rights_changes(1).await.unwrap(), kept);
    // That of the one which was deleted last is not used again.
    assert_eq!(store.last_rights_change().await.unwrap(), 4);
    let rules = store.rules().await.unwrap();
    let gone = RuleId::from_string(&*rules[0].id);
    let now = Timestamp::from_millis(9);
    assert!(store.delete_rule(&gone, now).await.unwrap());
    let new = store.rights_changes(4).await.unwrap();
    assert_eq!(new, [change(5, Changed::Policy)]);
    store.close().await;
}

#[tokio::test]
async fn the_first_change_of_rights_is_number_one_after_an_upgrade_too() {
    let (_dir, store) = upgraded(17, "SELECT 1").await;
    assert_eq!(store.last_rights_change().await.unwrap(), 0);
    let gone = RuleId::from_string("builtin-sys");
    let now = Timestamp::from_millis(9);
    assert!(store.delete_rule(&gone, now).await.unwrap());
    assert_eq!(store.last_rights_change().await.unwrap(), 1);
    store.close().await;
}
