//! `herald migrate`: a server goes on with another database.

use std::{fs, path::Path};

use herald_test_databases::{DatabaseKind, TestDatabase};
use herald_tests::{
    Herald, Http, Version,
    raw::{Connect, Message, Raw},
};
use rstest::rstest;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::notified::{finish, inbox, notified, taken};

/// A session that is kept, of the client id `phone`, subscribed to its inbox.
async fn phone(herald: &Herald) -> Raw {
    let connect = Connect::kept("alice").client_id("phone");
    let mut phone = Raw::connect_as(herald, Version::V5, &connect).await;
    assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
    phone
}

/// The address of a database file of the server's folder.
fn file(herald: &Herald, name: &str) -> String {
    format!("sqlite://{}", herald.folder().join(name).display())
}

/// A server with alice, and an empty database of this kind to go on with; `None` if that is not tested.
async fn before_the_move(kind: DatabaseKind) -> Option<(Herald, TestDatabase)> {
    let target = TestDatabase::empty(kind).await?;
    Some((Herald::with_users(&["alice"]).await, target))
}

/// Goes on with the database that everything was copied to.
async fn go_on(herald: &mut Herald, target: &TestDatabase) {
    let settings = [("HERALD_DATABASE__URL", target.url())];
    herald.begin_with(&settings).await;
}

async fn epoch(http: &Http) -> String {
    let page = http.get("/notifications").await.expect(200);
    page["epoch"].as_str().unwrap().to_owned()
}

#[rstest]
#[tokio::test]
async fn nobody_notices_that_the_database_is_another_one(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
) {
    let Some((mut herald, target)) = before_the_move(kind).await else {
        return;
    };
    let to = target.url();
    let (admin, alice) = (herald.http("admin").await, herald.http("alice").await);
    let token = alice.token(&["api"]).await;
    let mut kept = phone(&herald).await;
    finish(&alice, &["one", "two"]).await;
    let first = [notified(1, "one"), notified(2, "two")];
    assert_eq!(taken(&mut kept, 2).await, first);
    drop(kept);
    let last = finish(&alice, &["three", "four"]).await;
    let mut announcer = Raw::connect(&herald, Version::V5, "admin").await;
    let message = Message::new("broadcast/state", "on").qos(1).retained();
    assert_eq!(announcer.deliver(&message).await, 0);
    admin
        .post("/admin/queue/pause", &json!(null))
        .await
        .expect(204);
    let waiting = alice.send_message("five").await;
    let before = epoch(&alice).await;
    herald.stop().await;

    let told = herald.cli(&["migrate", "--to", to]).run().await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("5 messages"), "{told:?}");
    for line in ["copied messages: 5 rows", "compared notifications: 4 rows"] {
        assert!(told.stderr.contains(line), "{told:?}");
    }
    // Whatever is there now is not needed.
    fs::remove_file(herald.data_dir().join("herald.db")).unwrap();
    go_on(&mut herald, &target).await;

    // A session of a browser goes on.
    alice.at(&herald).get("/auth/session").await.expect(200);
    let (admin, alice) = (herald.http("admin").await, herald.http("alice").await);
    let by_token = Http::bearer(&herald, &token);
    by_token.get(&format!("/messages/{last}")).await.expect(200);
    assert_eq!(epoch(&alice).await, before);
    let mut kept = phone(&herald).await;
    let missed = [notified(3, "three"), notified(4, "four")];
    assert_eq!(taken(&mut kept, 2).await, missed);
    assert_eq!(alice.message(&waiting).await["status"], "queued");
    admin
        .post("/admin/queue/resume", &json!(null))
        .await
        .expect(204);
    alice.processed(&waiting).await;
    assert_eq!(taken(&mut kept, 1).await, [notified(5, "five")]);
    assert_eq!(kept.subscribe("broadcast/state").await, 1);
    assert_eq!(kept.take().await.payload, "on");
}

/// 20,000 messages of alice that have ended, beside what the server did.
const MANY: &str = "
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000)
INSERT INTO messages (id, user_id, body, status, attempts, created_at, run_at, processed_at)
SELECT printf('m%06d', n), (SELECT id FROM users WHERE username = 'alice'), 'number ' || n, 'processed', 1, n, n, n FROM n;
INSERT INTO notifications (user_id, seq, message_id, status, attempts, created_at)
SELECT user_id, ROW_NUMBER() OVER (ORDER BY id), id, 'processed', 1, 1 FROM messages;
UPDATE inboxes SET last_seq = 20000, acked_seq = 20000 WHERE user_id IN (SELECT id FROM users WHERE username = 'alice')";

async fn fill(database: &Path) {
    let url = format!("sqlite://{}", database.display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    conn.execute(MANY).await.unwrap();
    conn.close().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn one_that_is_killed_leaves_nothing_that_a_server_starts_on_and_is_run_again(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
) {
    let Some((mut herald, target)) = before_the_move(kind).await else {
        return;
    };
    let to = target.url();
    herald.stop().await;
    fill(&herald.data_dir().join("herald.db")).await;
    // Messages come later.
    let migrate = ["migrate", "--to", to];
    herald.cli(&migrate).kill_at("copied acl_rules").await;
    let refused = herald
        .cli(&["admin", "list"])
        .env("HERALD_DATABASE__URL", to)
        .run()
        .await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("unfinished copy"), "{refused:?}");
    assert!(refused.stderr.contains("herald migrate"), "{refused:?}");
    herald.cli(&migrate).succeed().await;
    go_on(&mut herald, &target).await;
    let alice = herald.http("alice").await;
    let page = alice.get("/notifications?after=19999").await.expect(200);
    assert_eq!(page["items"][0]["message"]["body"], "number 20000");
    let last = finish(&alice, &["next"]).await;
    let page = alice.get("/notifications?after=20000").await.expect(200);
    assert_eq!(page["items"][0]["seq"], 20001);
    assert_eq!(page["items"][0]["message"]["id"], last);
}

#[tokio::test]
async fn what_cannot_be_copied_is_said_in_a_line_without_passwords() {
    let herald = Herald::with_users(&["alice"]).await;
    let (own, other) = (file(&herald, "data/herald.db"), file(&herald, "other.db"));
    let nobody = "postgres://me:s3cret@127.0.0.1:1/db";
    let secret = herald.folder().join("password");
    fs::write(&secret, "s3cret\n").unwrap();
    let secret = secret.to_str().unwrap();
    let without = "postgres://me@127.0.0.1:1/db";
    for (code, args, said) in [
        (
            1,
            &["--to", &other][..],
            "another server is running on the data directory",
        ),
        (
            1,
            &["--from", &own, "--to", &other],
            "another server is running on the data directory",
        ),
        (
            1,
            &["--from", &other, "--to", nobody],
            "there is no database at",
        ),
        (1, &["--from", nobody, "--to", &other], "cannot be reached"),
        (
            1,
            &[
                "--from",
                without,
                "--from-password-file",
                secret,
                "--to",
                &other,
            ],
            "cannot be reached",
        ),
        (1, &["--from", &own, "--to", &own], "to itself"),
        (
            2,
            &["--to", "postgres://me:s3cret@host"],
            "--to: it names no database",
        ),
        (
            2,
            &["--from", "oracle://me:s3cret@host/db", "--to", &other],
            "--from: ",
        ),
        (
            2,
            &["--to", without, "--to-password-file", "nowhere"],
            "--to-password-file: 'nowhere'",
        ),
        (
            2,
            &["--to", &other, "--to-password-file", secret],
            "a database file has no password",
        ),
        (2, &["--from", &own], "--to"),
    ] {
        let ended = herald.cli(&[&["migrate"], args].concat()).run().await;
        assert_eq!(ended.code, code, "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(said), "{args:?}: {ended:?}");
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!all.contains("s3cret"), "{ended:?}");
        assert!(
            !Path::new(&herald.folder().join("other.db")).exists(),
            "{args:?}"
        );
    }
    // A database that is not the server's own may be copied while it runs.
    let backup = herald.folder().join("backup.db");
    let path = backup.to_str().unwrap();
    herald.cli(&["backup", path]).succeed().await;
    let from = file(&herald, "backup.db");
    let copy = ["migrate", "--from", &from, "--to", &other];
    herald.cli(&copy).succeed().await;
    let help = herald.cli(&["migrate", "--help"]).succeed().await;
    assert!(
        help.contains("--to 'postgres://herald@db.example/herald"),
        "{help}"
    );
}
