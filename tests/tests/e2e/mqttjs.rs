//! The same with MQTT.js over WebSocket, and who may open one.

use herald_tests::{Answer, Herald, Http, MqttJs, SharedServer, Version, password};
use reqwest::{Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};

use crate::notified::{notified, parse};

static SERVER: SharedServer = SharedServer::new();

/// Sends over HTTPS and over MQTT, and expects to hear of both.
async fn sends_and_is_notified(
    herald: &Herald,
    alice: &Http,
    client: &mut MqttJs,
    version: Version,
) {
    let inbox = herald.inbox("alice");
    assert_eq!(client.subscribe(&inbox).await, 1);
    alice.send_message("over https").await;
    let first = client.message().await;
    assert_eq!(
        parse(first["payload"].as_str().unwrap()),
        notified(1, "over https")
    );
    assert_eq!(first["topic"], inbox);
    assert_eq!(first["qos"], 1);
    let number = match version {
        Version::V311 => Value::Null,
        Version::V5 => json!("1"),
    };
    assert_eq!(first["properties"]["userProperties"]["seq"], number);
    let payload = json!({"body": "over mqtt"}).to_string();
    assert_eq!(client.publish(&herald.messages("alice"), &payload).await, 0);
    let second = client.message().await;
    assert_eq!(
        parse(second["payload"].as_str().unwrap()),
        notified(2, "over mqtt")
    );
}

#[rstest]
#[tokio::test]
async fn mqttjs_sends_and_is_notified_over_wss_with_the_short_lived_token(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let access = alice.post("/auth/mqtt", &Value::Null).await.expect(200);
    let text = |field: &str| access[field].as_str().unwrap();
    let expected = format!("wss://{}/mqtt", herald.http_address());
    assert_eq!(text("url"), expected);
    assert_eq!(text("username"), herald.name("alice"));
    assert_eq!(text("inbox"), herald.inbox("alice"));
    assert!(access["expires_at"].is_string(), "{access}");
    let mut client = MqttJs::connected(&herald, version, text("url"), "alice", text("token")).await;
    sends_and_is_notified(&herald, &alice, &mut client, version).await;
    // Whatever was printed is acknowledged.
    client.disconnect().await;
    let newest = alice.get("/messages?limit=1").await.expect(200);
    alice
        .delivered(newest["items"][0]["id"].as_str().unwrap())
        .await;
}

#[rstest]
#[tokio::test]
async fn mqttjs_sends_and_is_notified_over_mqtts(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let url = format!("mqtts://{}", herald.tls_address());
    let mut client = MqttJs::connected(&herald, version, &url, "alice", &password("alice")).await;
    sends_and_is_notified(&herald, &alice, &mut client, version).await;
    client.disconnect().await;
    let newest = alice.get("/messages?limit=1").await.expect(200);
    alice
        .delivered(newest["items"][0]["id"].as_str().unwrap())
        .await;
}

#[rstest]
#[tokio::test]
async fn the_short_lived_token_is_for_mqtt_and_its_owner_only(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "bob"]).await;
    let access = herald
        .http("alice")
        .await
        .post("/auth/mqtt", &Value::Null)
        .await;
    let access = access.expect(200);
    let token = access["token"].as_str().unwrap();
    let refused = Http::bearer(&herald, token).get("/messages").await;
    refused.expect_problem(401, "unauthenticated");
    let url = access["url"].as_str().unwrap();
    let mut client = MqttJs::connect(&herald, version, url, "bob", token, json!({})).await;
    let connack = client.event("connack").await;
    assert_eq!(connack["code"], version.connect_refused(), "{version:?}");
}

/// The answer to a WebSocket handshake with these headers.
async fn handshake(herald: &Herald, headers: &[(&str, &str)]) -> Answer {
    let http = Http::anonymous(herald);
    let mut request = http
        .request(Method::GET, "/mqtt")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    // After an upgrade there is no body to wait for.
    let text = match status {
        StatusCode::SWITCHING_PROTOCOLS => String::new(),
        _ => response.text().await.unwrap(),
    };
    Answer {
        status,
        headers,
        text,
    }
}

#[tokio::test]
async fn a_websocket_without_the_subprotocol_is_refused() {
    let herald = SERVER.with_users(&[]).await;
    for headers in [&[][..], &[("Sec-WebSocket-Protocol", "chat")]] {
        handshake(&herald, headers)
            .await
            .expect_problem(400, "bad_request");
    }
    let plain = Http::anonymous(&herald);
    let answer = plain.send(plain.request(Method::GET, "/mqtt")).await;
    answer.expect_problem(400, "bad_request");
}

#[tokio::test]
async fn a_websocket_of_a_foreign_page_is_refused() {
    let herald =
        Herald::start_with(&[("HERALD_HTTP__ALLOWED_ORIGINS", "[\"https://app.example\"]")]).await;
    let own = format!("https://{}", herald.http_address());
    let port = herald.http_address().rsplit_once(':').unwrap().1;
    let subprotocol = ("Sec-WebSocket-Protocol", "mqtt");
    for foreign in [
        "https://evil.example".to_owned(),
        format!("https://evil.example:{port}"),
        own.replace("https", "http"),
        "https://127.0.0.1".into(),
        format!("{own}.evil.example"),
        "https://app.example.evil.example".into(),
        "null".into(),
    ] {
        let answer = handshake(&herald, &[subprotocol, ("Origin", &foreign)]).await;
        answer.expect_problem(403, "origin_not_allowed");
    }
    for headers in [
        &[subprotocol][..],
        &[subprotocol, ("Origin", &own)],
        &[subprotocol, ("Origin", "https://app.example")],
        &[("Sec-WebSocket-Protocol", "chat, mqtt")],
    ] {
        let answer = handshake(&herald, headers).await;
        assert_eq!(answer.status, 101, "{headers:?}: {answer:?}");
        assert_eq!(answer.headers["sec-websocket-protocol"], "mqtt");
    }
}
