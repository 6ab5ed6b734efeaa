//! Bob never sees what is alice's, and cannot act for her.

use herald_tests::{
    Herald, Http, Mosquitto, MqttJs, SharedServer, Transport, Version, password,
    raw::{Connect, Raw},
};
use rstest::rstest;
use serde_json::json;

use crate::notified::{notified, printed, taken};

static SERVER: SharedServer = SharedServer::new();

/// Filters that would show bob something of alice's.
const REACHING: [&str; 13] = [
    "users/alice/notifications",
    "users/+/notifications",
    "users/#",
    "#",
    "+/alice/#",
    "users/alice/#",
    "users/alice/+",
    "users/+/+",
    "users/+",
    "+/+/notifications",
    "+/#",
    "users/Alice/notifications",
    "$SYS/#",
];

/// `text` with the name of Alice's account for `alice`.
fn of_alice(herald: &Herald, text: &str) -> String {
    text.replace("alice", &herald.name("alice"))
}

#[rstest]
#[tokio::test]
async fn bob_may_not_subscribe_to_what_reaches_alice(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "bob"]).await;
    let alice = herald.http("alice").await;
    let mut bob = Raw::connect(&herald, version, "bob").await;
    for filter in REACHING {
        let code = bob.subscribe(&of_alice(&herald, filter)).await;
        assert_eq!(code, version.subscribe_refused(), "{version:?}: {filter}");
        // The connection stays.
        bob.ping().await;
    }
    let id = alice.send_message("for alice alone").await;
    alice.processed(&id).await;
    // The first that bob sees is his own.
    assert_eq!(bob.subscribe(&herald.inbox("bob")).await, 1);
    herald.http("bob").await.send_message("mine").await;
    assert_eq!(taken(&mut bob, 1).await, [notified(1, "mine")]);
}

#[rstest]
#[tokio::test]
async fn a_refused_filter_does_not_spoil_its_neighbours(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "bob"]).await;
    let mut bob = Raw::connect(&herald, version, "bob").await;
    let own = herald.inbox("bob");
    let filters = [("#", 1), (own.as_str(), 1), ("users/+/notifications", 1)];
    let refused = version.subscribe_refused();
    let codes = bob.subscribe_all(&filters, None).await;
    assert_eq!(codes, [refused, 1, refused]);
    herald.http("alice").await.send_message("for alice").await;
    herald.http("bob").await.send_message("for bob").await;
    assert_eq!(taken(&mut bob, 1).await, [notified(1, "for bob")]);
}

#[rstest]
#[tokio::test]
async fn shared_subscriptions_are_no_way_round(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "bob"]).await;
    let mut bob = Raw::connect(&herald, version, "bob").await;
    for filter in ["$share/g/users/alice/notifications", "$share/g/#"] {
        let code = bob.subscribe(&of_alice(&herald, filter)).await;
        assert!(code >= 0x80, "{version:?}: {filter}: {code:#04x}");
        bob.ping().await;
    }
}

#[rstest]
#[tokio::test]
async fn bob_may_not_publish_to_what_is_alices(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "bob"]).await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(
        alice.subscribe(&of_alice(&herald, "users/alice/#")).await,
        1
    );
    let payload = json!({"body": "not from alice"}).to_string();
    let topics = [
        herald.messages("alice"),
        herald.inbox("alice"),
        of_alice(&herald, "users/alice/x"),
        of_alice(&herald, "users/alice"),
    ];
    let mut bob = Raw::connect(&herald, version, "bob").await;
    for topic in &topics {
        let code = bob.publish(topic, &payload).await;
        assert_eq!(code, version.puback(0x87), "{version:?}: {topic}");
        bob.publish_at_most_once(topic, &payload, true).await;
        bob.ping().await;
    }
    // Nor may he forge notifications of his own.
    let code = bob.publish(&herald.inbox("bob"), &payload).await;
    assert_eq!(code, version.puback(0x87), "{version:?}");
    let command = Mosquitto::new(&herald, Version::V5, Transport::Tls, "bob");
    assert_eq!(
        command.publish(&herald.messages("alice"), &payload).await,
        0x87
    );

    let http = herald.http("alice").await;
    let list = http.get("/messages").await.expect(200);
    assert_eq!(list["items"], json!([]));
    http.send_message("from alice").await;
    assert_eq!(taken(&mut alice, 1).await, [notified(1, "from alice")]);
}

#[rstest]
#[tokio::test]
async fn bob_may_use_alices_client_id_and_gets_nothing_of_hers(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "bob"]).await;
    let connect = |user| {
        let connect = Connect::of(user).client_id("phone");
        Connect {
            clean: false,
            ..connect
        }
    };
    let mut alice = Raw::connect_as(&herald, version, &connect("alice")).await;
    assert_eq!(alice.subscribe(&herald.inbox("alice")).await, 1);
    let mut bob = Raw::connect_as(&herald, version, &connect("bob")).await;
    alice.ping().await;
    herald.http("alice").await.send_message("hers").await;
    assert_eq!(taken(&mut alice, 1).await, [notified(1, "hers")]);
    assert_eq!(bob.subscribe(&herald.inbox("bob")).await, 1);
    herald.http("bob").await.send_message("his").await;
    assert_eq!(taken(&mut bob, 1).await, [notified(1, "his")]);
    alice.ping().await;
}

#[rstest]
#[tokio::test]
async fn her_own_second_connection_takes_over(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let mut first = Raw::connect(&herald, version, "alice").await;
    let mut second = Raw::connect(&herald, version, "alice").await;
    let expected = (version == Version::V5).then_some(0x8E);
    assert_eq!(first.ended().await, expected, "{version:?}");
    second.ping().await;
}

#[rstest]
#[tokio::test]
async fn bob_may_not_leave_a_will_on_alices_topics(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "bob"]).await;
    let payload = json!({"body": "the will"}).to_string();
    for topic in [
        herald.messages("alice"),
        herald.inbox("alice"),
        herald.inbox("bob"),
        herald.topic("x"),
    ] {
        let connect = Connect::of("bob").will(&topic, &payload);
        let code = Raw::connect_code(&herald, version, &connect).await;
        assert_eq!(code, version.connect_refused(), "{version:?}: {topic}");
    }
    let list = herald
        .http("alice")
        .await
        .get("/messages")
        .await
        .expect(200);
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn bob_finds_nothing_of_alices_over_http() {
    let herald = SERVER.with_users(&["alice", "bob"]).await;
    let (alice, bob) = (herald.http("alice").await, herald.http("bob").await);
    let id = alice.send_message("hers").await;
    alice.processed(&id).await;
    let hidden = bob.get(&format!("/messages/{id}")).await;
    hidden.expect_problem(404, "not_found");
    for list in ["/messages", "/notifications", "/tokens"] {
        alice.token(&["api"]).await;
        let found = bob.get(list).await.expect(200);
        assert_eq!(found["items"], json!([]), "{list}");
    }
    bob.post("/notifications/ack", &json!({"up_to": 1}))
        .await
        .expect(200);
    let message = alice.message(&id).await;
    assert!(message["delivered_at"].is_null(), "{message}");
    for path in ["/admin/users", "/admin/delay"] {
        bob.get(path).await.expect_problem(403, "forbidden");
    }
    let user = json!({"username": "eve", "password": "a long password"});
    let refused = bob.post("/admin/users", &user).await;
    refused.expect_problem(403, "forbidden");
}

#[rstest]
#[tokio::test]
async fn mosquitto_sub_and_mqttjs_see_only_their_own(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "bob"]).await;
    let alice = Mosquitto::new(&herald, version, Transport::Tls, "alice");
    let mut alice = alice.subscribe(&[&herald.inbox("alice")]).await;
    let url = format!("wss://{}/mqtt", herald.http_address());
    let mut bob = MqttJs::connected(&herald, version, &url, "bob", &password("bob")).await;
    for filter in ["users/#", "#", "users/alice/notifications"] {
        let code = bob.subscribe(&of_alice(&herald, filter)).await;
        assert_eq!(code, version.subscribe_refused());
    }
    assert_eq!(bob.subscribe(&herald.inbox("bob")).await, 1);
    let send = async |http: Http, body| {
        let id = http.send_message(body).await;
        http.processed(&id).await;
    };
    send(herald.http("alice").await, "hers").await;
    send(herald.http("bob").await, "his").await;
    assert_eq!(printed(&mut alice, 1).await, [notified(1, "hers")]);
    let message = bob.message().await;
    assert_eq!(message["topic"], herald.inbox("bob"));
    assert!(
        message["payload"]
            .as_str()
            .unwrap()
            .contains(r#""body":"his""#)
    );
}
