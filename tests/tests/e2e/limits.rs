//! Bad input gets a clear error, and changes nothing.

use herald_tests::{
    Herald, Http, Version,
    raw::{Connect, Packet, Raw},
};
use reqwest::Method;
use serde_json::json;

use crate::notified::{inbox, messages, notified, taken};

const MESSAGE_BYTES: usize = 64 * 1024;
const PACKET_BYTES: usize = 128 * 1024;

async fn sent_nothing(alice: &Http) {
    let list = alice.get("/messages").await.expect(200);
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn an_oversized_message_is_refused_over_http() {
    let herald = Herald::with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    for length in [MESSAGE_BYTES + 1, 10 * MESSAGE_BYTES, 1000 * MESSAGE_BYTES] {
        let body = json!({"body": "x".repeat(length)});
        // The server may answer and close before it has read all of it.
        let request = alice.api(Method::POST, "/messages").json(&body);
        match request.send().await {
            Ok(response) => assert_eq!(response.status(), 413, "{length}"),
            Err(error) => assert!(length > 10 * MESSAGE_BYTES && error.is_request(), "{error}"),
        }
    }
    let body = json!({"body": "x".repeat(MESSAGE_BYTES + 1)});
    alice
        .post("/messages", &body)
        .await
        .expect_problem(413, "too_large");
    sent_nothing(&alice).await;
    let body = json!({"body": "x".repeat(MESSAGE_BYTES)});
    alice.post("/messages", &body).await.expect(202);
}

#[tokio::test]
async fn an_oversized_message_is_refused_over_mqtt() {
    let herald = Herald::with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    for version in Version::BOTH {
        let mut raw = Raw::connect(&herald, version, "alice").await;
        let payload = json!({"body": "x".repeat(MESSAGE_BYTES + 1)}).to_string();
        let code = raw.publish(&messages("alice"), &payload).await;
        assert_eq!(code, version.puback(0x99), "{version:?}");
        raw.ping().await;
    }
    sent_nothing(&alice).await;
}

#[tokio::test]
async fn a_malformed_body_is_refused_over_http() {
    let herald = Herald::with_users(&["alice"]).await;
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

#[tokio::test]
async fn a_malformed_message_is_refused_over_mqtt() {
    let herald = Herald::with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    for version in Version::BOTH {
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
            let code = raw.publish(&messages("alice"), payload).await;
            assert_eq!(code, version.puback(0x99), "{version:?}: {payload}");
        }
        raw.ping().await;
    }
    sent_nothing(&alice).await;
}

#[tokio::test]
async fn an_oversized_packet_ends_its_connection_only() {
    let herald = Herald::with_users(&["alice", "bob"]).await;
    let payload = "x".repeat(PACKET_BYTES);
    for version in Version::BOTH {
        let mut bob = Raw::connect(&herald, version, "bob").await;
        let mut alice = Raw::connect(&herald, version, "alice").await;
        alice.publish_in_vain(&messages("alice"), &payload).await;
        let expected = (version == Version::V5).then_some(0x95);
        assert_eq!(alice.ended().await, expected, "{version:?}");
        bob.ping().await;
    }
    sent_nothing(&herald.http("alice").await).await;
}

#[tokio::test]
async fn a_malformed_packet_ends_its_connection_only() {
    let herald = Herald::with_users(&["alice", "bob"]).await;
    for version in Version::BOTH {
        let mut bob = Raw::connect(&herald, version, "bob").await;
        assert_eq!(bob.subscribe(&inbox("bob")).await, 1);
        for bytes in [
            // No such packet.
            &[0x00, 0x00][..],
            // A remaining length of five bytes.
            &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            // A PUBLISH whose topic is longer than the packet.
            &[0x30, 0x04, 0x00, 0x09, b'a', b'b'],
            // A SUBSCRIBE without its flags, and one without filters.
            &[0x80, 0x02, 0x00, 0x01],
            &[0x82, 0x02, 0x00, 0x01],
            // A PUBLISH at QoS 3.
            &[0x36, 0x05, 0x00, 0x01, b'a', 0x00, 0x01],
            // A CONNACK, which is not the client's to send.
            &[0x20, 0x02, 0x00, 0x00],
            // A second CONNECT, cut short.
            &[0x10, 0x06, 0x00, 0x04, b'M', b'Q', b'T', b'T'],
            // A topic that is not UTF-8.
            &[0x30, 0x05, 0x00, 0x02, 0xFF, 0xFE, 0x00],
        ] {
            let mut alice = Raw::connect(&herald, version, "alice").await;
            alice.send(bytes).await;
            match alice.ended().await {
                Some(code) => assert!(
                    version == Version::V5 && code >= 0x80,
                    "{bytes:02X?}: {code:#04x}"
                ),
                None => assert_eq!(version, Version::V311, "{bytes:02X?}: no reason"),
            }
        }
        herald.http("bob").await.send_message("still here").await;
        let expected = if version == Version::V311 { 1 } else { 2 };
        assert_eq!(taken(&mut bob, 1).await, [notified(expected, "still here")]);
        bob.disconnect().await;
    }
}

#[tokio::test]
async fn what_is_no_mqtt_is_not_answered_as_mqtt() {
    let herald = Herald::start().await;
    let mut raw = Raw::open(&herald, Version::V311).await;
    raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let answer = raw.packet().await;
    assert!(
        !matches!(answer, Some(Packet::Connack { code: 0, .. })),
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
    let herald = Herald::start().await;
    for topic in ["broadcast/#", "broadcast/+/x", "#"] {
        let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
        assert_eq!(admin.publish(topic, "x").await, 0x90, "{topic}");
        admin.ping().await;
    }
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
