//! What an administrator sees of live MQTT sessions, and ends.

use herald_tests::{
    Herald, Http, Mosquitto, MqttJs, Transport, Version, password,
    raw::{Connect, Raw},
    until,
};
use serde_json::{Value, json};

use crate::notified::inbox;

const CONNECTIONS: &str = "/admin/connections";

/// The sessions of a user; of everyone with `""`.
async fn sessions(admin: &Http, user: &str) -> Vec<Value> {
    let path = match user {
        "" => CONNECTIONS.to_owned(),
        user => format!("{CONNECTIONS}?user={user}"),
    };
    let page = admin.get(&path).await.expect(200);
    assert_eq!(page["next"], Value::Null);
    page["items"].as_array().unwrap().clone()
}

/// The only session of a user.
async fn session(admin: &Http, user: &str) -> Value {
    let mut sessions = sessions(admin, user).await;
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    sessions.remove(0)
}

fn path(session: &Value) -> String {
    format!("{CONNECTIONS}/{}", session["id"].as_str().unwrap())
}

/// Waits until the session is not listed any more.
async fn gone(admin: &Http, session: &Value) {
    until("a session to be gone from the list", async || {
        let all = sessions(admin, "").await;
        all.iter()
            .all(|other| other["id"] != session["id"])
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_client_is_listed_with_its_transport_and_its_version() {
    let herald = Herald::with_users(&["alice", "bob", "carol"]).await;
    let admin = herald.http("admin").await;
    let tcp = Mosquitto::new(&herald, Version::V311, Transport::Tcp, "alice");
    let _alice = tcp
        .args(&["-i", "plain", "-k", "17"])
        .subscribe(&[&inbox("alice"), "broadcast/#"])
        .await;
    let tls = Mosquitto::new(&herald, Version::V5, Transport::Tls, "bob");
    let _bob = tls
        .args(&["-i", "secret"])
        .subscribe(&[&inbox("bob")])
        .await;
    let url = format!("wss://{}/mqtt", herald.http_address());
    let carol = herald.http("carol").await;
    let (token_id, token) = carol.token_with_id(&["mqtt"]).await;
    let web = json!({"clientId": "web", "keepalive": 40});
    let mut carol = MqttJs::connect(&herald, Version::V5, &url, "carol", &token, web).await;
    carol.event("connack").await;

    let all = sessions(&admin, "").await;
    assert_eq!(all.len(), 3, "{all:?}");
    let expected = [
        ("alice", "plain", "tcp", "3.1.1", 17, 2),
        ("bob", "secret", "tls", "5", 60, 1),
        ("carol", "web", "websocket", "5", 40, 0),
    ];
    for (i, (user, client_id, transport, protocol, keep_alive_s, subscriptions)) in
        expected.into_iter().enumerate()
    {
        let shown = session(&admin, user).await;
        assert_eq!(shown, all[i], "in the order in which they began");
        assert_eq!(shown["username"], user);
        assert_eq!(shown["client_id"], client_id);
        assert_eq!(shown["transport"], transport);
        assert_eq!(shown["protocol"], protocol);
        assert_eq!(shown["keep_alive_s"], keep_alive_s);
        assert_eq!(shown["subscriptions"], subscriptions);
        assert_eq!(shown["in_flight"], 0);
        assert_eq!(shown["connected"], true);
        let address = shown["address"].as_str().unwrap();
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        let (credential, token) = match user {
            "carol" => ("token", json!(token_id)),
            _ => ("password", Value::Null),
        };
        assert_eq!(shown["credential"], credential);
        assert_eq!(shown["token_id"], token);
    }
}

#[tokio::test]
async fn a_client_whose_session_is_ended_is_told_why_and_may_connect_again() {
    let herald = Herald::with_users(&["alice", "bob"]).await;
    let admin = herald.http("admin").await;
    let tls = Mosquitto::new(&herald, Version::V5, Transport::Tls, "bob");
    let bob = tls.subscribe(&[&inbox("bob")]).await;
    let shown = session(&admin, "bob").await;
    admin.delete(&path(&shown)).await.expect(204);
    assert_eq!(bob.disconnected().await, 0x98);
    gone(&admin, &shown).await;

    let url = format!("wss://{}/mqtt", herald.http_address());
    let secret = password("alice");
    let mut web = MqttJs::connected(&herald, Version::V5, &url, "alice", &secret).await;
    let shown = session(&admin, "alice").await;
    admin.delete(&path(&shown)).await.expect(204);
    assert_eq!(web.event("disconnect").await["code"], 0x98);
    web.event("closed").await;
    gone(&admin, &shown).await;

    for (version, told) in [(Version::V311, None), (Version::V5, Some(0x98))] {
        let mut alice = Raw::connect(&herald, version, "alice").await;
        let shown = session(&admin, "alice").await;
        admin.delete(&path(&shown)).await.expect(204);
        assert_eq!(alice.ended().await, told);
        gone(&admin, &shown).await;
        let again = admin.delete(&path(&shown)).await;
        again.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_session_that_waits_for_its_client_is_listed_and_ended_and_its_inbox_is_not() {
    let herald = Herald::with_users(&["alice"]).await;
    let admin = herald.http("admin").await;
    let alice = herald.http("alice").await;
    let kept = Connect::kept("alice");
    let mut phone = Raw::connect_as(&herald, Version::V311, &kept).await;
    assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
    phone.disconnect().await;
    let shown = until("the session to wait", async || {
        let shown = session(&admin, "alice").await;
        (shown["connected"] == false).then_some(shown)
    })
    .await;
    assert_eq!(shown["address"], Value::Null);
    assert_eq!(shown["subscriptions"], 1);
    admin.delete(&path(&shown)).await.expect(204);
    gone(&admin, &shown).await;

    let id = alice.send_message("while away").await;
    alice.processed(&id).await;
    let (mut phone, connack) = Raw::begin(&herald, Version::V311, &kept).await;
    assert!(!connack.session_present);
    assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
    phone.take().await;
    assert_ne!(session(&admin, "alice").await["id"], shown["id"]);
}

#[tokio::test]
async fn sessions_are_for_administrators_alone() {
    let herald = Herald::with_users(&["alice"]).await;
    let admin = herald.http("admin").await;
    let mut phone = Raw::connect(&herald, Version::V5, "alice").await;
    let shown = session(&admin, "alice").await;
    let alice = herald.http("alice").await;
    let token = alice.token(&["api", "mqtt"]).await;
    let program = Http::bearer(&herald, &token);
    for who in [&alice, &program] {
        for path in [CONNECTIONS, "/admin/connections?user=alice"] {
            who.get(path).await.expect_problem(403, "forbidden");
        }
        // One's own, and one that is none.
        for path in [&*path(&shown), "/admin/connections/none"] {
            who.delete(path).await.expect_problem(403, "forbidden");
        }
    }
    let nobody = Http::anonymous(&herald);
    let refused = nobody.get(CONNECTIONS).await;
    refused.expect_problem(401, "unauthenticated");
    let refused = nobody.delete(&path(&shown)).await;
    refused.expect_problem(401, "unauthenticated");
    let refused = admin.without_csrf().delete(&path(&shown)).await;
    refused.expect_problem(403, "csrf");
    let unknown = admin.delete("/admin/connections/none").await;
    unknown.expect_problem(404, "not_found");
    phone.ping().await;
}
