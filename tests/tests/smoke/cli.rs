//! The other commands, on the data of a running server.

use std::fs;

use herald_tests::{Cli, Herald, Http, Mosquitto, Transport, Version, raw::Connect, raw::Raw};
use serde_json::json;
use tempfile::TempDir;

use crate::notified::inbox;

#[tokio::test]
async fn ca_prints_where_the_authority_is() {
    let herald = Herald::start().await;
    let printed = herald.cli(&["ca"]).succeed().await;
    assert!(printed.contains(herald.ca().to_str().unwrap()), "{printed}");
}

#[tokio::test]
async fn admin_create_makes_accounts_that_can_sign_in() {
    let herald = Herald::start().await;
    let create = |args: &[&str]| {
        let mut all = vec!["admin", "create"];
        all.extend(args);
        herald.cli(&all).input("a long password\n")
    };
    create(&["alice"]).succeed().await;
    create(&["root", "--admin"]).succeed().await;
    for (name, role) in [("alice", "user"), ("root", "admin")] {
        let http = Http::sign_in(&herald, name, "a long password").await;
        let session = http.get("/auth/session").await.expect(200);
        assert_eq!(session["user"]["role"], role, "{name}");
    }
    let list = herald.cli(&["admin", "list"]).succeed().await;
    for name in ["admin", "alice", "root"] {
        assert!(list.lines().any(|line| line.starts_with(name)), "{list}");
    }
}

#[tokio::test]
async fn admin_create_refuses_what_the_api_refuses() {
    let herald = Herald::with_users(&["alice"]).await;
    for (name, password) in [
        ("alice", "a long password\n"),
        ("Alice", "a long password\n"),
        ("al/ice", "a long password\n"),
        ("bob", "short\n"),
        ("bob", ""),
    ] {
        let create = herald.cli(&["admin", "create", name]).input(password);
        let ended = create.run().await;
        assert_ne!(ended.code, 0, "{name}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{name}: {ended:?}");
    }
    let list = herald.cli(&["admin", "list"]).succeed().await;
    assert_eq!(list.lines().count(), 2, "{list}");
    herald.http("alice").await;
}

#[tokio::test]
async fn reset_password_changes_the_password_of_a_running_server() {
    let herald = Herald::with_users(&["alice"]).await;
    let reset = herald.cli(&["admin", "reset-password", "alice"]);
    reset.input("another password\n").succeed().await;
    Http::sign_in(&herald, "alice", "another password").await;
    let old = json!({"username": "alice", "password": herald_tests::password("alice")});
    let refused = Http::anonymous(&herald).post("/auth/login", &old).await;
    refused.expect_problem(401, "invalid_credentials");
    let nobody = herald.cli(&["admin", "reset-password", "nobody"]);
    let ended = nobody.input("another password\n").run().await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("nobody"), "{ended:?}");
}

#[tokio::test]
async fn a_token_of_the_command_line_works_until_it_is_revoked() {
    let herald = Herald::with_users(&["alice"]).await;
    let create = herald.cli(&["token", "create", "alice", "--expires", "30d"]);
    let token = create.succeed().await.trim().to_owned();
    let alice = Http::bearer(&herald, &token);
    alice.get("/messages").await.expect(200);
    let client = Mosquitto::with_password(&herald, Version::V311, Transport::Tls, "alice", &token);
    client.subscribe(&[&inbox("alice")]).await;

    let list = herald.cli(&["token", "list"]).succeed().await;
    assert!(!list.contains(&token), "the text is shown once");
    assert_eq!(list.lines().count(), 1, "{list}");
    assert!(list.contains("alice"), "{list}");
    let id = list.split_whitespace().next().unwrap();
    herald.cli(&["token", "revoke", id]).succeed().await;

    let refused = alice.get("/messages").await;
    refused.expect_problem(401, "unauthenticated");
    let connect = Connect::of("alice").password(&token);
    let code = Raw::connect_code(&herald, Version::V5, &connect).await;
    assert_eq!(code, 0x87);
    let again = herald.cli(&["token", "revoke", "no-such-id"]).run().await;
    assert_eq!(again.code, 1, "{again:?}");
}

#[tokio::test]
async fn a_token_is_good_for_its_scopes_only() {
    let herald = Herald::with_users(&["alice"]).await;
    let token = async |scope| {
        let create = herald.cli(&["token", "create", "alice", "--scope", scope]);
        create.succeed().await.trim().to_owned()
    };
    let (api, mqtt) = (token("api").await, token("mqtt").await);
    Http::bearer(&herald, &api)
        .get("/messages")
        .await
        .expect(200);
    let refused = Http::bearer(&herald, &mqtt).get("/messages").await;
    refused.expect_problem(401, "unauthenticated");
    let code = async |token: &str| {
        let connect = Connect::of("alice").password(token);
        Raw::connect_code(&herald, Version::V311, &connect).await
    };
    assert_eq!(code(&mqtt).await, 0);
    assert_eq!(code(&api).await, 0x05);
}

#[tokio::test]
async fn a_command_says_that_there_is_no_database_and_makes_none() {
    let folder = TempDir::new().unwrap();
    for args in [
        &["admin", "list"] as &[&str],
        &["admin", "create", "alice"],
        &["admin", "reset-password", "admin"],
        &["token", "list"],
        &["token", "create", "admin"],
        &["token", "revoke", "x"],
    ] {
        for mistyped in [false, true] {
            let mut args = args.to_vec();
            if mistyped {
                args.extend(["--data-dir", "dta"]);
            }
            let call = Cli::new(folder.path(), &args).input("a long password\n");
            let ended = call.run().await;
            assert_eq!(ended.code, 1, "{args:?}: {ended:?}");
            assert!(
                ended.stderr.contains("there is no database at"),
                "{ended:?}"
            );
            assert!(ended.stderr.contains("--data-dir"), "{ended:?}");
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Text that others chose does not turn a terminal's line around.
#[tokio::test]
async fn names_show_as_they_are_and_change_nothing_else() {
    let herald = Herald::with_users(&["alice"]).await;
    let name = "ab\u{202e}c\u{2066}d\u{2028}e";
    let token = json!({"name": name, "scopes": ["api"]});
    herald
        .http("alice")
        .await
        .post("/tokens", &token)
        .await
        .expect(201);
    let list = herald.cli(&["token", "list"]).succeed().await;
    assert!(list.contains(r"ab\u{202e}c\u{2066}d\u{2028}e"), "{list}");
    assert_eq!(list.lines().count(), 1, "{list}");
}

#[tokio::test]
async fn the_queue_is_paused_and_seen_and_goes_on() {
    let herald = Herald::with_users(&["alice"]).await;
    let queue = async |command| herald.cli(&["queue", command]).succeed().await;
    queue("pause").await;
    let id = herald.http("alice").await.send_message("hello").await;
    let status = queue("status").await;
    for line in ["queued\t1", "processed\t0", "paused\tyes"] {
        assert!(status.lines().any(|of| of == line), "{line}: {status}");
    }
    queue("resume").await;
    herald.http("alice").await.processed(&id).await;
    let status = queue("status").await;
    for line in ["queued\t0", "processed\t1", "paused\tno"] {
        assert!(status.lines().any(|of| of == line), "{line}: {status}");
    }
    let retried = queue("retry").await;
    assert_eq!(retried, "0 messages are queued again\n");
}
