//! A send is on disk, then processed, and its owner hears of it.

use herald_tests::{
    Herald, Http, Mosquitto, SharedServer, Transport, Version, password,
    raw::{Property, Raw},
    within,
};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::notified::{notified, parse, taken};

static SERVER: SharedServer = SharedServer::new();

/// The epoch of `user`'s inbox.
async fn epoch(user: &Http) -> String {
    let page = user.get("/notifications").await.expect(200);
    page["epoch"].as_str().unwrap().to_owned()
}

/// The notification of `message`, as it stands in contract and on the wire.
fn notification(seq: i64, epoch: &str, message: &Value) -> String {
    let text = |field: &str| &message[field];
    format!(
        r#"{{"seq":{seq},"epoch":"{epoch}","type":"message.processed","message":{{"id":{},"body":{},"status":"processed","result":{},"error":null,"attempts":1,"created_at":{},"processed_at":{}}}}}"#,
        text("id"),
        text("body"),
        text("body"),
        text("created_at"),
        text("processed_at"),
    )
}

#[rstest]
#[case(Version::V311, "mqttv311")]
#[case(Version::V5, "mqttv5")]
#[tokio::test]
async fn mosquitto_sub_prints_the_notification_of_a_message_sent_over_https(
    #[case] version: Version,
    #[case] flag: &str,
) {
    let herald = Herald::with_users(&["alice"]).await;
    let port = herald.tls_address().rsplit_once(':').unwrap().1;
    // As in the contract, run beside the data directory.
    let subscriber = Command::new("mosquitto_sub")
        .args(["--cafile", "data/tls/ca.pem", "-p", port, "-u", "alice"])
        .args(["-P", &password("alice")])
        .args(["-t", "users/alice/notifications", "-q", "1"])
        .args(["-V", flag, "-C", "1"])
        .current_dir(herald.folder())
        .kill_on_drop(true)
        .output();
    let alice = herald.http("alice").await;
    let sent = alice.post("/messages", &json!({"body": "hello"})).await;
    let sent = sent.expect(202);
    assert_eq!(sent["status"], "queued", "{sent}");
    let mut fields: Vec<&String> = sent.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["created_at", "id", "run_at", "status"]);

    let output = within("mosquitto_sub", subscriber).await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let message = alice.message(sent["id"].as_str().unwrap()).await;
    assert_eq!(
        printed.trim_end(),
        notification(1, &epoch(&alice).await, &message),
        "{version:?}"
    );
}

#[rstest]
#[tokio::test]
async fn publishing_to_ones_messages_sends(
    #[values(Version::V311, Version::V5)] version: Version,
    #[values(Transport::Tls, Transport::Tcp)] transport: Transport,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = Mosquitto::new(&herald, version, transport, "alice");
    let mut subscriber = alice.subscribe(&[&herald.inbox("alice")]).await;
    let payload = json!({"body": "hello"}).to_string();
    assert_eq!(alice.publish(&herald.messages("alice"), &payload).await, 0);
    let received = subscriber.message().await;
    assert_eq!(parse(&received.payload), notified(1, "hello"));
    assert_eq!(received.topic, herald.inbox("alice"));
    assert_eq!((received.qos, received.retain), (1, false));
    subscriber.stop().await;
}

#[tokio::test]
async fn a_message_is_delivered_once_its_notification_is_acknowledged() {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let mut raw = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(raw.subscribe(&herald.inbox("alice")).await, 1);
    let id = alice.send_message("hello").await;
    let publish = raw.message().await;
    let message = alice.processed(&id).await;
    assert_eq!(message["delivered_at"], Value::Null, "{message}");
    assert_eq!(
        publish.payload,
        notification(1, &epoch(&alice).await, &message)
    );

    raw.acknowledge(publish.id.unwrap()).await;
    let mut message = alice.delivered(&id).await;
    let failed = message.as_object_mut().unwrap().remove("failed_attempts");
    assert_eq!(failed, Some(json!([])));
    let more = message
        .as_object_mut()
        .unwrap()
        .remove("more_failed_attempts");
    assert_eq!(more, Some(json!(false)));
    assert!(message["delivered_at"].as_str() >= message["processed_at"].as_str());
    assert_eq!(message["attempts"], 1);
    let list = alice.get("/messages").await.expect(200);
    assert_eq!(list, json!({"items": [message], "next": null}));
}

#[tokio::test]
async fn the_same_idempotency_key_sends_once() {
    let herald = SERVER.with_users(&["alice", "bob"]).await;
    let send = async |http: &Http, body: &str| {
        let request = http.api(Method::POST, "/messages");
        let request = request.header("Idempotency-Key", "order-17");
        http.send(request.json(&json!({"body": body}))).await
    };
    let (alice, bob) = (herald.http("alice").await, herald.http("bob").await);
    let first = send(&alice, "hello").await.expect(202);
    let id = first["id"].as_str().unwrap();
    assert_eq!(send(&alice, "hello").await.expect(202)["id"], id);
    let conflict = send(&alice, "another").await;
    conflict.expect_problem(409, "idempotency_key_reused");
    // Keys are the user's own.
    assert_ne!(send(&bob, "hello").await.expect(202)["id"], id);

    // The same over MQTT.
    let mut raw = Raw::connect(&herald, Version::V5, "alice").await;
    let payload = json!({"body": "hello", "idempotency_key": "order-17"}).to_string();
    assert_eq!(raw.publish(&herald.messages("alice"), &payload).await, 0);
    let list = alice.get("/messages").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
}

#[tokio::test]
async fn a_session_needs_the_csrf_token_and_an_access_token_does_not() {
    let herald = SERVER.with_users(&["alice"]).await;
    let body = json!({"body": "hello"});
    let alice = herald.http("alice").await;
    let refused = alice.without_csrf().post("/messages", &body).await;
    refused.expect_problem(403, "csrf");
    let refused = Http::anonymous(&herald).post("/messages", &body).await;
    refused.expect_problem(401, "unauthenticated");
    let token = Http::bearer(&herald, &alice.token(&["api"]).await);
    token.post("/messages", &body).await.expect(202);
    let list = alice.get("/messages").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");

    alice.post("/auth/logout", &Value::Null).await.expect(204);
    let refused = alice.get("/messages").await;
    refused.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn mqtt_5_carries_the_number_and_can_start_behind_one() {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    for body in ["one", "two", "three"] {
        let id = alice.send_message(body).await;
        alice.processed(&id).await;
    }
    let mut raw = Raw::connect(&herald, Version::V5, "alice").await;
    let filters = [(herald.inbox("alice"), 1)];
    let filters = filters.each_ref().map(|(f, qos)| (f.as_str(), *qos));
    assert_eq!(raw.subscribe_all(&filters, Some("1")).await, [1]);
    let publish = raw.take().await;
    assert!(publish.properties.contains(&Property::user("seq", "2")));
    assert_eq!(parse(&publish.payload), notified(2, "two"));
    assert_eq!(taken(&mut raw, 1).await, [notified(3, "three")]);
    // What was acknowledged can be read again.
    let mut again = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(again.subscribe_all(&filters, Some("0")).await, [1]);
    let all = ["one", "two", "three"];
    let all = [1, 2, 3].map(|n| notified(n, all[usize::try_from(n - 1).unwrap()]));
    assert_eq!(taken(&mut again, 3).await, all);
}

#[rstest]
#[tokio::test]
async fn every_filter_that_covers_the_inbox_serves_once(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = Herald::with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let mut raw = Raw::connect(&herald, version, "alice").await;
    let filters = [
        ("users/alice/#", 1),
        ("users/alice/+", 2),
        ("users/alice/notifications", 0),
    ];
    assert_eq!(raw.subscribe_all(&filters, None).await, [1, 1, 0]);
    alice.send_message("first").await;
    assert_eq!(taken(&mut raw, 1).await, [notified(1, "first")]);
    alice.send_message("next").await;
    assert_eq!(taken(&mut raw, 1).await, [notified(2, "next")]);
    raw.disconnect().await;
}

#[tokio::test]
async fn the_inbox_can_be_read_and_acknowledged_over_http() {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let id = alice.send_message("hello").await;
    let message = alice.processed(&id).await;
    let list = alice.get("/notifications").await.expect(200);
    let expected: Value =
        serde_json::from_str(&notification(1, &epoch(&alice).await, &message)).unwrap();
    let epoch = epoch(&alice).await;
    let page = json!({"items": [expected], "next": null, "epoch": epoch, "restarted": false});
    assert_eq!(list, page);
    alice
        .post("/notifications/ack", &json!({"up_to": 1}))
        .await
        .expect(200);
    assert!(alice.message(&id).await["delivered_at"].is_string());

    // Acknowledged is acknowledged: MQTT brings only what follows.
    let mut raw = Raw::connect(&herald, Version::V311, "alice").await;
    assert_eq!(raw.subscribe(&herald.inbox("alice")).await, 1);
    alice.send_message("next").await;
    assert_eq!(taken(&mut raw, 1).await, [notified(2, "next")]);
}
