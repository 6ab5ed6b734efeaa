//! Bad input gets a clear error, and changes nothing.

use std::fs;

use herald_tests::{
    Herald, Http, SharedServer, Version,
    raw::{Connect, Packet, Raw},
    within,
};
use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use tokio::process::Command;

use crate::notified::{notified, taken};

static SERVER: SharedServer = SharedServer::new();

const MESSAGE_BYTES: usize = 64 * 1024;
const PACKET_BYTES: usize = 128 * 1024;

async fn sent_nothing(alice: &Http) {
    let list = alice.get("/messages").await.expect(200);
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn an_oversized_message_is_refused_over_http() {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    // What is a little too long is read, what is much too long is not.
    for length in [MESSAGE_BYTES + 1, 10 * MESSAGE_BYTES, 16 * MESSAGE_BYTES] {
        let body = json!({"body": "x".repeat(length)});
        let refused = alice.post("/messages", &body).await;
        refused.expect_problem(413, "too_large");
    }
    sent_nothing(&alice).await;
    let body = json!({"body": "x".repeat(MESSAGE_BYTES)});
    alice.post("/messages", &body).await.expect(202);
}

#[tokio::test]
async fn curl_is_told_that_a_message_is_too_large() {
    let herald = SERVER.with_users(&["alice"]).await;
    let token = herald.http("alice").await.token(&["api"]).await;
    let file = herald.folder().join("body.json");
    let body = json!({"body": "x".repeat(16 * MESSAGE_BYTES)});
    fs::write(&file, body.to_string()).unwrap();
    for protocol in ["--http1.1", "--http2"] {
        let curl = Command::new("curl")
            .args([protocol, "-sS", "-o", "/dev/null", "-w", "%{http_code}"])
            .args(["--cacert", herald.ca().to_str().unwrap()])
            .args(["-H", "Content-Type: application/json"])
            .args(["-H", &format!("Authorization: Bearer {token}")])
            .args(["--data-binary", &format!("@{}", file.display())])
            .arg(format!("https://{}/api/v1/messages", herald.http_address()))
            .kill_on_drop(true)
            .output();
        let output = within("curl", curl).await.unwrap();
        let code = String::from_utf8_lossy(&output.stdout);
        assert_eq!(code, "413", "{protocol}: {output:?}");
    }
}

#[rstest]
#[tokio::test]
async fn an_oversized_message_is_refused_over_mqtt(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let mut raw = Raw::connect(&herald, version, "alice").await;
    let payload = json!({"body": "x".repeat(MESSAGE_BYTES + 1)}).to_string();
    let code = raw.publish(&herald.messages("alice"), &payload).await;
    assert_eq!(code, version.puback(0x97), "{version:?}");
    raw.ping().await;
    sent_nothing(&alice).await;
}

#[tokio::test]
async fn a_malformed_body_is_refused_over_http() {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let post = async |kind: &str, body: &'static str| {
        let request = alice.api(Method::POST, "/messages");
        alice
            .send(request.header("Content-Type", kind).body(body))
            .await
    };
    let json = "application/json";
    for body in [
        "",
        "{",
        "hello",
        "[]",
        "{}",
        r#"{"text": "x"}"#,
        r#"{"body": 5}"#,
    ] {
        post(json, body).await.expect_problem(400, "bad_request");
    }
    for body in [r#"{"body": ""}"#, r#"{"body": "a\u0000b"}"#] {
        post(json, body).await.expect_problem(422, "invalid");
    }
    let answer = post("text/plain", r#"{"body": "x"}"#).await;
    answer.expect_problem(415, "unsupported_media_type");
    let answer = alice.get("/no/such/path").await;
    answer.expect_problem(404, "not_found");
    let answer = alice.delete("/messages").await;
    answer.expect_problem(405, "method_not_allowed");
    sent_nothing(&alice).await;
}

#[rstest]
#[tokio::test]
async fn a_malformed_message_is_refused_over_mqtt(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let mut raw = Raw::connect(&herald, version, "alice").await;
    for payload in [
        "",
        "hello",
        "{",
        "[]",
        "{}",
        r#"{"text": "x"}"#,
        r#"{"body": 5}"#,
        r#"{"body": ""}"#,
        r#"{"body": "a\u0000b"}"#,
        r#"{"body": "x", "idempotency_key": ""}"#,
    ] {
        let code = raw.publish(&herald.messages("alice"), payload).await;
        assert_eq!(code, version.puback(0x99), "{version:?}: {payload}");
    }
    raw.ping().await;
    sent_nothing(&alice).await;
}

#[rstest]
#[tokio::test]
async fn an_oversized_packet_ends_its_connection_only(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "bob"]).await;
    let mut bob = Raw::connect(&herald, version, "bob").await;
    for length in [PACKET_BYTES, 16 * PACKET_BYTES] {
        let mut alice = Raw::connect(&herald, version, "alice").await;
        let payload = "x".repeat(length);
        alice
            .publish_in_vain(&herald.messages("alice"), &payload)
            .await;
        let expected = (version == Version::V5).then_some(0x95);
        assert_eq!(alice.ended().await, expected, "{version:?}: {length}");
    }
    bob.ping().await;
    sent_nothing(&herald.http("alice").await).await;
}

/// What is no packet that a client may send, in either version.
const MALFORMED: [(&str, &[u8]); 9] = [
    ("no such packet", &[0x00, 0x00]),
    (
        "a remaining length of five bytes",
        &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
    ),
    (
        "a PUBLISH whose topic is longer than the packet",
        &[0x30, 0x04, 0x00, 0x09, b'a', b'b'],
    ),
    (
        "a SUBSCRIBE without its flags",
        &[0x80, 0x06, 0x00, 0x01, 0x00, 0x01, b'a', 0x00],
    ),
    ("a SUBSCRIBE without filters", &[0x82, 0x02, 0x00, 0x01]),
    (
        "a PUBLISH at QoS 3",
        &[0x36, 0x06, 0x00, 0x01, b'a', 0x00, 0x01, 0x00],
    ),
    ("a CONNACK", &[0x20, 0x02, 0x00, 0x00]),
    (
        "a second CONNECT, cut short",
        &[0x10, 0x06, 0x00, 0x04, b'M', b'Q', b'T', b'T'],
    ),
    (
        "a topic that is not UTF-8",
        &[0x30, 0x05, 0x00, 0x02, 0xFF, 0xFE, 0x00],
    ),
];

#[rstest]
#[tokio::test]
async fn a_malformed_packet_ends_its_connection_only(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "bob"]).await;
    let mut bob = Raw::connect(&herald, version, "bob").await;
    assert_eq!(bob.subscribe(&herald.inbox("bob")).await, 1);
    let mut wrong = vec![];
    for (what, bytes) in MALFORMED {
        let mut alice = Raw::connect(&herald, version, "alice").await;
        alice.send(bytes).await;
        let answer = alice.packet().await;
        let right = match &answer {
            Some(Packet::Disconnect { code, .. }) => version == Version::V5 && *code >= 0x80,
            Some(_) => false,
            None => version == Version::V311,
        };
        if !right {
            wrong.push((what, answer));
        }
    }
    assert!(wrong.is_empty(), "{version:?}: {wrong:?}");
    herald.http("bob").await.send_message("still here").await;
    assert_eq!(taken(&mut bob, 1).await, [notified(1, "still here")]);
    bob.disconnect().await;
}

#[tokio::test]
async fn what_is_no_mqtt_is_not_answered_as_mqtt() {
    let herald = SERVER.with_users(&["admin"]).await;
    let mut raw = Raw::open(&herald, Version::V311).await;
    raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let answer = raw.packet().await;
    assert!(
        !matches!(&answer, Some(Packet::Connack(connack)) if connack.code == 0),
        "{answer:?}"
    );
    // A packet before CONNECT.
    let mut raw = Raw::open(&herald, Version::V5).await;
    raw.send(&[0xC0, 0x00]).await;
    assert!(!matches!(raw.packet().await, Some(Packet::Pingresp)));
    Raw::connect(&herald, Version::V5, "admin")
        .await
        .ping()
        .await;
}

#[tokio::test]
async fn an_invalid_topic_is_refused() {
    let herald = SERVER.with_users(&["admin"]).await;
    for topic in ["broadcast/#", "broadcast/+/x", "#"] {
        for (version, code) in [(Version::V5, Some(0x90)), (Version::V311, None)] {
            let mut admin = Raw::connect(&herald, version, "admin").await;
            admin.publish_only(topic, "x").await;
            assert_eq!(admin.ended().await, code, "{topic}");
        }
    }
    let deep = format!("broadcast{}", "/x".repeat(128));
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    assert_eq!(admin.publish(&deep, "x").await, 0x90);
    admin.ping().await;
    for filter in ["broadcast/#/x", "broadcast/a+", "a#"] {
        let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
        assert_eq!(admin.subscribe(filter).await, 0x8F, "{filter}");
        admin.ping().await;
        let mut admin = Raw::connect(&herald, Version::V311, "admin").await;
        assert_eq!(admin.subscribe(filter).await, 0x80, "{filter}");
        admin.ping().await;
    }
}

#[tokio::test]
async fn the_limits_are_the_operators_to_set() {
    let herald = Herald::start_with(&[
        ("HERALD_LIMITS__MESSAGE_BYTES", "10"),
        ("HERALD_LIMITS__SESSIONS_PER_USER", "2"),
        ("HERALD_LIMITS__SUBSCRIPTIONS_PER_SESSION", "1"),
    ])
    .await;
    let admin = herald.http("admin").await;
    let long = admin
        .post("/messages", &json!({"body": "12345678901"}))
        .await;
    long.expect_problem(413, "too_large");
    admin
        .post("/messages", &json!({"body": "1234567890"}))
        .await
        .expect(202);

    let connect = |id| Connect::of("admin").client_id(id);
    let mut first = Raw::connect_as(&herald, Version::V5, &connect("1")).await;
    let _second = Raw::connect_as(&herald, Version::V5, &connect("2")).await;
    let code = Raw::connect_code(&herald, Version::V5, &connect("3")).await;
    assert_eq!(code, 0x97);
    assert_eq!(first.subscribe("broadcast/a").await, 1);
    assert_eq!(first.subscribe("broadcast/b").await, 0x97);
    assert_eq!(first.subscribe("broadcast/a").await, 1);
}

/// Only a server names subscriptions (MQTT 5 section 3.3.4-6).
#[tokio::test]
async fn a_publish_that_names_a_subscription_is_a_protocol_error() {
    let herald = SERVER.with_users(&["alice"]).await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    alice
        .send(&[0x30, 0x06, 0x00, 0x01, b'a', 0x02, 0x0B, 0x01])
        .await;
    assert_eq!(alice.ended().await, Some(0x82));
}

/// The reserved flag of CONNECT, and a will at QoS 3.
#[rstest]
#[tokio::test]
async fn a_connect_with_wrong_flags_is_not_let_in(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["admin"]).await;
    for flags in [0b0000_0011, 0b0001_1110] {
        let mut raw = Raw::open(&herald, version).await;
        let mut connect = vec![0x10, 13, 0, 4];
        connect.extend(b"MQTT");
        connect.extend([version.level(), flags, 0, 60, 0, 0, 0]);
        raw.send(&connect).await;
        assert_eq!(raw.packet().await, None, "{version:?} {flags:08b}");
    }
}
