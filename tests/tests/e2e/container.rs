//! As in a container: the first process, that is killed ten seconds after it was told to stop.

use std::{process::Stdio, time::Instant};

use herald_tests::{
    Herald, Version,
    raw::{Message, Raw},
    within,
};
use serde_json::json;
use tokio::process::Command;

use crate::notified::messages;

#[tokio::test]
async fn the_first_process_ends_at_sigterm_and_at_no_signal_that_means_nothing() {
    let mut herald = Herald::stopped(&[]);
    if !herald.begin_as_first_process().await {
        return;
    }
    for signal in ["HUP", "USR1", "USR2"] {
        herald.signal(signal);
        let said = format!("\"signal\":\"SIG{signal}\"");
        herald.logged(&said, 1).await;
    }
    herald.http("admin").await.send_message("hello").await;
    herald.stop().await;
}

#[tokio::test]
async fn the_first_process_ends_at_sigterm_from_the_beginning_on() {
    let mut herald = Herald::stopped(&[]);
    let Some(code) = herald.stop_first_process_while_starting().await else {
        return;
    };
    assert_eq!(code, Some(0), "{}", herald.stderr());
    herald.begin().await;
}

/// A service that never answers, and a server with a message that waits for it.
async fn waiting_for_a_webhook() -> (Herald, impl Sized) {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let herald = Herald::start_with(&[
        ("HERALD_WORKER__PROCESSOR", "webhook"),
        ("HERALD_WORKER__TIMEOUT_MS", "600000"),
        ("HERALD_WEBHOOK__URL", &url),
        ("HERALD_WEBHOOK__TIMEOUT_MS", "600000"),
        ("HERALD_WEBHOOK__SECRET", herald_tests::WEBHOOK_SECRET),
    ])
    .await;
    let admin = herald.http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    admin.send_message("hello").await;
    let asked = within("the webhook", silent.accept()).await.unwrap();
    (herald, (silent, asked))
}

/// Sends of alice that her quota holds back, and more messages under way to her than the network takes: she reads nothing.
async fn clients_that_hold_up(herald: &Herald, version: Version) -> Raw {
    let mut alice = Raw::connect(herald, version, "alice").await;
    assert_eq!(alice.subscribe_at("broadcast/#", 0).await, 0);
    for n in 1..=3 {
        let send = json!({"body": n.to_string()}).to_string();
        alice.publish_only(&messages("alice"), &send).await;
    }
    let mut admin = Raw::connect(herald, Version::V5, "admin").await;
    let long = Message::new("broadcast/news", &"x".repeat(100 * 1024)).qos(1);
    for _ in 0..120 {
        assert_eq!(admin.deliver(&long).await, 0);
    }
    alice
}

#[tokio::test]
async fn a_stop_waits_for_webhooks_but_not_for_ten_seconds_and_for_clients_that_do_not_read_not_at_all()
 {
    let (mut waits, _service) = waiting_for_a_webhook().await;
    let one_a_minute = [("HERALD_LIMITS__SENDS_PER_MINUTE", "1")];
    let mut held_up = Herald::start_with(&one_a_minute).await;
    held_up
        .http("admin")
        .await
        .create_user("alice", "user")
        .await;
    let _clients = [
        clients_that_hold_up(&held_up, Version::V311).await,
        clients_that_hold_up(&held_up, Version::V5).await,
    ];

    let told = Instant::now();
    for herald in [&waits, &held_up] {
        herald.signal("TERM");
    }
    let mut container = Command::new("sleep")
        .arg("10")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let code = tokio::select! {
        biased;
        _ = waits.ended() => panic!("clients that do not read were waited for longer than the webhook"),
        code = held_up.ended() => code,
    };
    assert_eq!(code, Some(0));
    let code = tokio::select! {
        biased;
        _ = container.wait() => panic!("it would have been killed"),
        code = waits.ended() => code,
    };
    assert_eq!(code, Some(0), "after {:?}", told.elapsed());
    assert!(waits.stderr().contains("will be processed again"));
}
