//! What somebody signed in with ends, and with it all that lives from it, over HTTP and MQTT.

use std::time::Duration;

use herald_tests::{
    Herald, Http, MqttJs, Version, password,
    raw::{Connect, Raw},
};
use serde_json::{Value, json};
use tokio::time::timeout;

/// A second is promised; a busy machine may take longer.
const SOON: Duration = Duration::from_secs(10);

/// A browser of alice that is signed in, and connected over MQTT with what its session gave it.
struct Browser {
    http: Http,
    mqtt: Raw,
    token: String,
}

impl Browser {
    async fn new(herald: &Herald, client_id: &str) -> Self {
        let http = herald.http("alice").await;
        let access = http.post("/auth/mqtt", &json!({})).await.expect(200);
        let token = access["token"].as_str().unwrap().to_owned();
        let connect = Connect::of("alice").client_id(client_id).password(&token);
        let mqtt = Raw::connect_as(herald, Version::V5, &connect).await;
        Self { http, mqtt, token }
    }

    /// The id of its session.
    async fn id(&self) -> String {
        let sessions = self.http.get("/auth/sessions").await.expect(200);
        let mut all = sessions["items"].as_array().unwrap().iter();
        let own = all.find(|session| session["current"] == true).unwrap();
        own["id"].as_str().unwrap().to_owned()
    }

    /// Checks that nothing of it works any more.
    async fn has_ended(mut self, herald: &Herald) {
        let session = self.http.get("/auth/session").await;
        session.expect_problem(401, "unauthenticated");
        let ended = timeout(SOON, self.mqtt.ended()).await;
        assert_eq!(ended.expect("soon"), Some(0x87));
        let connect = Connect::of("alice")
            .client_id("again")
            .password(&self.token);
        assert_eq!(Raw::connect_code(herald, Version::V5, &connect).await, 0x87);
    }

    async fn lives(&mut self) {
        self.http.get("/auth/session").await.expect(200);
        self.mqtt.ping().await;
    }
}

#[tokio::test]
async fn a_browser_that_signs_out_is_connected_no_more_and_others_are() {
    let herald = Herald::with_users(&["alice"]).await;
    let mut other = Browser::new(&herald, "other").await;
    let browser = Browser::new(&herald, "browser").await;
    browser
        .http
        .post("/auth/logout", &json!({}))
        .await
        .expect(204);
    browser.has_ended(&herald).await;
    other.lives().await;
}

#[tokio::test]
async fn a_session_that_its_user_ends_from_another_browser_is_connected_no_more() {
    let herald = Herald::with_users(&["alice"]).await;
    let mut other = Browser::new(&herald, "other").await;
    let lost = Browser::new(&herald, "lost").await;
    let path = format!("/auth/sessions/{}", lost.id().await);
    other.http.delete(&path).await.expect(204);
    lost.has_ended(&herald).await;
    other.lives().await;
}

#[tokio::test]
async fn a_new_password_ends_the_other_browsers_and_no_token() {
    let herald = Herald::with_users(&["alice"]).await;
    let mut own = Browser::new(&herald, "own").await;
    let other = Browser::new(&herald, "other").await;
    let program = Http::bearer(&herald, &own.http.token(&["api"]).await);
    let change = json!({"current": password("alice"), "new": "another horse battery"});
    own.http.put("/auth/password", &change).await.expect(204);
    other.has_ended(&herald).await;
    own.lives().await;
    program.get("/auth/session").await.expect(200);
}

#[tokio::test]
async fn an_account_that_is_locked_or_deleted_has_no_way_in() {
    for delete in [false, true] {
        let herald = Herald::with_users(&["alice"]).await;
        let browser = Browser::new(&herald, "browser").await;
        let program = Http::bearer(&herald, &browser.http.token(&["api"]).await);
        let admin = herald.http("admin").await;
        if delete {
            admin.delete("/admin/users/alice").await.expect(204);
        } else {
            let disable = json!({"disabled": true});
            admin
                .patch("/admin/users/alice", &disable)
                .await
                .expect(200);
        }
        let refused = program.get("/auth/session").await;
        refused.expect_problem(401, "unauthenticated");
        browser.has_ended(&herald).await;
    }
}

#[tokio::test]
async fn what_a_token_made_ends_with_it() {
    let herald = Herald::with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let (id, token) = alice.token_with_id(&["api", "mqtt"]).await;
    let program = Http::bearer(&herald, &token);
    let access = program.post("/auth/mqtt", &json!({})).await.expect(200);
    let of_program = access["token"].as_str().unwrap();
    let connect = Connect::of("alice").client_id("p").password(of_program);
    let mut mqtt = Raw::connect_as(&herald, Version::V5, &connect).await;
    alice.delete(&format!("/tokens/{id}")).await.expect(204);
    let refused = program.get("/auth/session").await;
    refused.expect_problem(401, "unauthenticated");
    let ended = timeout(SOON, mqtt.ended()).await;
    assert_eq!(ended.expect("soon"), Some(0x87));
}

#[tokio::test]
async fn a_page_is_disconnected_when_its_session_ends() {
    let herald = Herald::with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let access = alice.post("/auth/mqtt", &json!({})).await.expect(200);
    let text = |key: &str| access[key].as_str().unwrap().to_owned();
    let (url, token) = (text("url"), text("token"));
    let mut page = MqttJs::connected(&herald, Version::V5, &url, "alice", &token).await;
    alice.post("/auth/logout", &json!({})).await.expect(204);
    let closed = timeout(SOON, page.event("closed")).await;
    assert_ne!(closed.expect("soon"), Value::Null);
}

#[tokio::test]
async fn the_next_user_of_a_name_sees_nothing_of_the_last() {
    let herald = Herald::with_users(&["alice"]).await;
    let admin = herald.http("admin").await;
    let alice = herald.http("alice").await;
    let id = alice.send_message("alice's secret").await;
    alice.processed(&id).await;
    alice.token(&["api"]).await;
    admin.allow("user:alice", "both", "lamps/#").await;
    admin.allow("everyone", "both", "rooms/%u/#").await;
    // Retained on topics that are alice's by the rules.
    let mut root = Raw::connect(&herald, Version::V5, "admin").await;
    root.publish_at_most_once("responses/alice/1", "alice's secret", true)
        .await;
    let mut first = Raw::connect(&herald, Version::V5, "alice").await;
    root.publish_at_most_once("responses/alicia/1", "alicia's", true)
        .await;
    assert!(first.subscribe("responses/alice/#").await < 0x80);
    let retained = first.message().await;
    assert_eq!(retained.payload, "alice's secret");

    admin.delete("/admin/users/alice").await.expect(204);
    admin.create_user("alice", "user").await;
    let alice = herald.http("alice").await;
    for path in ["/messages", "/tokens", "/notifications?after=0"] {
        let list = alice.get(path).await.expect(200);
        assert_eq!(list["items"], json!([]), "{path}");
    }
    let sessions = alice.get("/auth/sessions").await.expect(200);
    assert_eq!(sessions["items"].as_array().unwrap().len(), 1);
    let mut second = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(second.subscribe("lamps/1").await, 0x87);
    assert!(second.subscribe("users/alice/#").await < 0x80);
    assert!(second.subscribe("responses/alice/#").await < 0x80);
    // What comes first is new: nothing was waiting.
    let id = alice.send_message("new").await;
    let first = second.message().await;
    let told = first.payload;
    assert!(told.contains(&id), "{told}");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["seq"], 1);
}
