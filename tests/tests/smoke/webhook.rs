//! Messages processed by an HTTP service: the one in `docs/webhook.md`.

use std::fs;

use herald_tests::{
    Cli, Herald, NodeService, Version, WEBHOOK_SECRET as SECRET,
    raw::{Connect, Raw},
    until, within,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
};

use crate::notified::inbox;

/// The service that operators are shown.
async fn service(secret: &str) -> (TempDir, NodeService) {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/webhook.md");
    let docs = fs::read_to_string(docs).unwrap();
    let code = docs.split_once("```js\n").unwrap().1;
    let code = code.split_once("```").unwrap().0;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("service.mjs");
    fs::write(&file, code).unwrap();
    let service = NodeService::start(|node| node.arg(file).env("SECRET", secret).env("PORT", "0"));
    (folder, service.await)
}

/// A server that has its messages processed at `url`, and alice's inbox.
async fn served(url: &str) -> (Herald, Raw) {
    served_with(url, &[("HERALD_WEBHOOK__SECRET", SECRET)]).await
}

/// With these settings.
async fn served_with(url: &str, settings: &[(&str, &str)]) -> (Herald, Raw) {
    let webhook = [
        ("HERALD_WORKER__PROCESSOR", "webhook"),
        ("HERALD_WEBHOOK__URL", url),
    ];
    let settings: Vec<_> = webhook.iter().chain(settings).copied().collect();
    let herald = Herald::start_with(&settings).await;
    let admin = herald.http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    admin.create_user("alice", "user").await;
    let connect = Connect::of("alice");
    let mut alice = Raw::connect_as(&herald, Version::V5, &connect).await;
    assert_eq!(alice.subscribe(&inbox("alice")).await, 1);
    (herald, alice)
}

/// The next notification.
async fn next(alice: &mut Raw) -> Value {
    serde_json::from_str(&alice.take().await.payload).unwrap()
}

#[tokio::test]
async fn the_answer_of_the_service_arrives_as_the_result() {
    let (_folder, service) = service(SECRET).await;
    let (herald, mut alice) = served(service.url()).await;
    let id = herald.http("alice").await.send_message("hello").await;
    let notification = next(&mut alice).await;
    assert_eq!(notification["type"], "message.processed");
    assert_eq!(notification["message"]["id"], id);
    assert_eq!(notification["message"]["result"], "HELLO");
    assert_eq!(notification["message"]["attempts"], 1);
    // Standard error is the log.
    assert!(!herald.stderr().contains(&SECRET[6..]));
}

#[tokio::test]
async fn a_message_that_the_service_refuses_arrives_as_failed() {
    let (_folder, service) = service(SECRET).await;
    let (herald, mut alice) = served(service.url()).await;
    let http = herald.http("alice").await;
    http.send_message(&"x".repeat(101)).await;
    let notification = next(&mut alice).await;
    assert_eq!(notification["type"], "message.failed");
    assert_eq!(notification["message"]["status"], "dead");
    assert_eq!(notification["message"]["error"], "the service answered 400");
}

const OTHER: &str = "whsec_b3RoZXIgc2VjcmV0IG9mIDI0IGJ5dGVz";

#[tokio::test]
async fn a_message_that_a_service_with_another_secret_refuses_is_tried_again() {
    let (_folder, service) = service(OTHER).await;
    let (herald, _alice) = served(service.url()).await;
    let http = herald.http("alice").await;
    let id = http.send_message("hello").await;
    let message = until("it to be refused twice", async || {
        let message = http.message(&id).await;
        let failed = message["failed_attempts"].as_array().unwrap();
        (failed.len() > 1).then_some(message)
    })
    .await;
    let error = "the service answered 401";
    assert_eq!(message["failed_attempts"][1]["error"], error, "{message}");
}

/// The service still has the old one.
#[tokio::test]
async fn a_secret_is_replaced_without_a_message_being_refused() {
    let (_folder, service) = service(OTHER).await;
    let rotation = [
        ("HERALD_WEBHOOK__SECRET", SECRET),
        ("HERALD_WEBHOOK__PREVIOUS_SECRET", OTHER),
    ];
    let (herald, mut alice) = served_with(service.url(), &rotation).await;
    herald.http("alice").await.send_message("hello").await;
    let notification = next(&mut alice).await;
    assert_eq!(notification["message"]["result"], "HELLO");
    assert_eq!(notification["message"]["attempts"], 1);
}

/// One message, one attempt to lose, and a service that comes up long after both have tried.
#[tokio::test]
async fn a_lone_message_outlives_a_service_that_is_not_there() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    let settings = [
        ("HERALD_WEBHOOK__SECRET", SECRET),
        ("HERALD_WORKER__MAX_ATTEMPTS", "1"),
        ("HERALD_WORKER__BACKOFF_MS", "1"),
    ];
    let (herald, mut alice) = served_with(&url, &settings).await;
    let id = herald.http("alice").await.send_message("hello").await;
    until("the breaker to open, and a probe to fail", async || {
        let log = herald.stderr();
        (log.matches("the webhook keeps failing").count() > 1).then_some(())
    })
    .await;
    let message = herald.http("alice").await.message(&id).await;
    assert_ne!(message["status"], "dead", "{message}");
    assert_eq!(message["error"], "the service cannot be reached");
    assert_eq!(message["failed_attempts"], json!([]));

    let service = socket.listen(16).unwrap();
    let (mut stream, _) = within("the probe", service.accept()).await.unwrap();
    assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
    let done = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\ndone";
    stream.write_all(done).await.unwrap();
    let notification = next(&mut alice).await;
    assert_eq!(notification["message"]["id"], id);
    assert_eq!(notification["message"]["result"], "done");
}

#[tokio::test]
async fn a_webhook_without_url_or_secret_is_a_configuration_error() {
    let folder = TempDir::new().unwrap();
    let check =
        || Cli::new(folder.path(), &["check-config"]).env("HERALD_WORKER__PROCESSOR", "webhook");
    let url = "https://me:hidden@service.example/?key=hidden";
    for (cli, key) in [
        (check(), "webhook.url"),
        (check().env("HERALD_WEBHOOK__URL", url), "webhook.secret"),
        (
            check()
                .env("HERALD_WEBHOOK__URL", url)
                .env("HERALD_WEBHOOK__SECRET", "whsec_hidden"),
            "webhook.secret",
        ),
        (
            check().env("HERALD_WEBHOOK__SECERT", SECRET),
            "webhook.secert",
        ),
        (
            check()
                .env("HERALD_WEBHOOK__URL", url)
                .env("HERALD_WEBHOOK__SECRET", SECRET)
                .env("HERALD_WORKER__TIMEOUT_MS", "9999"),
            "webhook.timeout_ms",
        ),
        (
            check().env("HERALD_WEBHOOK_SECRET", SECRET),
            "HERALD_WEBHOOK__SECRET",
        ),
    ] {
        let ended = cli.run().await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert_eq!(ended.stderr.trim_end().lines().count(), 1, "{ended:?}");
        assert!(ended.stderr.contains(key), "{key}: {ended:?}");
        assert!(!ended.stderr.contains("hidden"), "{ended:?}");
        assert!(!ended.stderr.contains(&SECRET[6..]), "{ended:?}");
    }
    let shown = check()
        .env("HERALD_WEBHOOK__URL", url)
        .env("HERALD_WEBHOOK__SECRET", SECRET);
    let shown = shown.succeed().await;
    assert!(
        shown.contains("https://***@service.example/?***"),
        "{shown}"
    );
    assert!(!shown.contains("hidden") && !shown.contains(&SECRET[6..]));
}
