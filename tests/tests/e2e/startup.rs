//! First start, second start, and a clean end.

use std::fs;

use herald_tests::{Herald, Http, Mosquitto, Transport, Version, until, within};
use reqwest::Method;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::notified::{inbox, notified, printed};

#[tokio::test]
async fn the_first_start_makes_all_that_is_needed() {
    let herald = Herald::start().await;
    let data = herald.data_dir();
    for file in [
        "herald.db",
        "run.json",
        "tls/ca.pem",
        "tls/server.pem",
        "tls/server.key",
    ] {
        assert!(data.join(file).is_file(), "{file}");
    }
    let run = herald.run();
    for address in [&run.http, &run.mqtt_tls, &run.mqtt_tcp] {
        let address = address.as_deref().unwrap();
        assert!(address.starts_with("127.0.0.1:"), "{run:?}");
        assert!(!address.ends_with(":0"), "{run:?}");
    }
    let admin = herald.http("admin").await;
    let session = admin.get("/auth/session").await.expect(200);
    assert_eq!(session["user"]["role"], "admin", "{session}");
    for path in ["/healthz", "/readyz"] {
        let answer = admin.send(admin.request(Method::GET, path)).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
}

#[tokio::test]
#[cfg(unix)]
async fn only_the_owner_can_read_the_secrets() {
    use std::os::unix::fs::PermissionsExt as _;

    let herald = Herald::start().await;
    let data = herald.data_dir();
    for secret in [data.clone(), data.join("tls/server.key")] {
        let mode = fs::metadata(&secret).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", secret.display());
    }
}

#[tokio::test]
async fn a_second_start_finds_what_the_first_left() {
    let mut herald = Herald::with_users(&["alice"]).await;
    let ca = fs::read(herald.ca()).unwrap();
    let id = herald.http("alice").await.send_message("hello").await;
    herald.http("alice").await.processed(&id).await;

    herald.restart().await;

    assert_eq!(fs::read(herald.ca()).unwrap(), ca, "the CA");
    let alice = herald.http("alice").await;
    assert_eq!(alice.message(&id).await["body"], "hello");
    let delay = herald.http("admin").await.get("/admin/delay").await;
    assert_eq!(delay.expect(200)["ms"], 0, "the delay");
    let client = Mosquitto::new(&herald, Version::V5, Transport::Tls, "alice");
    let mut subscriber = client.subscribe(&[&inbox("alice")]).await;
    assert_eq!(printed(&mut subscriber, 1).await, [notified(1, "hello")]);
}

#[tokio::test]
async fn a_session_and_a_token_outlive_a_restart() {
    let mut herald = Herald::with_users(&["alice"]).await;
    let token = herald.http("alice").await.token(&["api"]).await;
    herald.restart().await;
    let alice = Http::bearer(&herald, &token);
    let session = alice.get("/auth/session").await.expect(200);
    assert_eq!(session["user"]["username"], "alice");
}

#[tokio::test]
async fn sigterm_and_sigint_stop_the_server_cleanly() {
    for signal in ["TERM", "INT"] {
        let mut herald = Herald::start().await;
        herald.signal(signal);
        assert_eq!(herald.ended().await, Some(0), "SIG{signal}");
        assert!(!herald.data_dir().join("run.json").exists(), "SIG{signal}");
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_idle_clients() {
    let mut herald = Herald::with_users(&["alice"]).await;
    let client = Mosquitto::new(&herald, Version::V311, Transport::Tls, "alice");
    let _subscriber = client.subscribe(&[&inbox("alice")]).await;
    let _silent = tokio::net::TcpStream::connect(herald.tls_address()).await;
    let _web = herald.http("alice").await;
    within("the stop", herald.stop()).await;
}

#[tokio::test]
async fn what_a_killed_server_left_behind_does_not_stop_the_next() {
    let mut herald = Herald::start().await;
    herald.kill().await;
    assert!(herald.data_dir().join("run.json").exists());
    herald.begin().await;
    herald.http("admin").await;
}

#[tokio::test]
async fn a_server_does_not_start_with_an_access_rule_that_is_none() {
    let mut herald = Herald::start().await;
    herald.stop().await;
    let url = format!("sqlite://{}", herald.data_dir().join("herald.db").display());
    let mut by_hand = SqliteConnection::connect(&url).await.unwrap();
    let broken = "UPDATE acl_rules SET filter = 'users/%x' WHERE id = 'builtin-inbox'";
    by_hand.execute(broken).await.unwrap();
    by_hand.close().await.unwrap();
    let (code, error) = herald.begin_in_vain().await;
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("builtin-inbox"), "{error}");
    assert!(!herald.data_dir().join("run.json").exists(), "{error}");
}

#[tokio::test]
async fn signals_that_mean_nothing_end_nothing() {
    let mut herald = Herald::start().await;
    for signal in ["HUP", "USR1", "USR2"] {
        herald.signal(signal);
        herald
            .logged(&format!("\"signal\":\"SIG{signal}\""), 1)
            .await;
    }
    herald.http("admin").await.send_message("hello").await;
    herald.stop().await;
}

/// As the first process of a container, it would otherwise not be ended at all.
#[tokio::test]
async fn a_stop_counts_while_the_server_starts() {
    let mut herald = Herald::start().await;
    herald.stop().await;
    let url = format!("sqlite://{}", herald.data_dir().join("herald.db").display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    // So that the start takes long.
    other.execute("BEGIN EXCLUSIVE").await.unwrap();
    assert_eq!(herald.stop_while_starting().await, Some(0));
    assert!(!herald.data_dir().join("run.json").exists());
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    herald.begin().await;
    herald.http("admin").await;
}

#[tokio::test]
async fn a_stop_waits_for_a_webhook_as_long_as_it_is_told_to() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    // Far longer than this test may take.
    let mut herald = Herald::start_with(&[
        ("HERALD_WORKER__PROCESSOR", "webhook"),
        ("HERALD_WORKER__TIMEOUT_MS", "600000"),
        ("HERALD_WORKER__STOP_MS", "50"),
        ("HERALD_WEBHOOK__URL", &url),
        ("HERALD_WEBHOOK__TIMEOUT_MS", "600000"),
        ("HERALD_WEBHOOK__SECRET", herald_tests::WEBHOOK_SECRET),
    ])
    .await;
    let admin = herald.http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    admin.send_message("hello").await;
    let _asked = within("the webhook", silent.accept()).await.unwrap();
    herald.stop().await;
    assert!(herald.stderr().contains("will be processed again"));
}

#[tokio::test]
async fn without_tls_nothing_is_said_to_be_tls() {
    let herald = Herald::start_with(&[("HERALD_TLS__MODE", "off")]).await;
    assert_eq!(herald.run().mqtt_tls, None);
    let banner = until("the banner", async || {
        Some(herald.stdout()).filter(|banner| banner.contains("Try it:"))
    })
    .await;
    assert!(!banner.contains("TLS"), "{banner}");
    assert!(banner.contains("MQTT (plain)"), "{banner}");
}

#[tokio::test]
async fn fewer_open_files_than_connections_are_fewer_connections() {
    let mut herald = Herald::stopped(&[]);
    herald.begin_with_files(300).await;
    let log = herald.logged("which is lowered", 1).await;
    assert!(log.contains("\"connections\":236"), "{log}");
    herald.http("admin").await;
    herald.stop().await;
}
