//! Access rules that an administrator makes are in force at once.

use herald_tests::{Herald, Http, SharedServer, Version, raw::Raw, until};
use serde_json::{Value, json};

static SERVER: SharedServer = SharedServer::new();

pub(crate) fn rule(subject: &str, action: &str, effect: &str, filter: &str) -> Value {
    json!({"subject": subject, "action": action, "effect": effect, "filter": filter})
}

/// Makes a rule and returns its path.
pub(crate) async fn create(admin: &Http, rule: &Value) -> String {
    let made = admin.post("/admin/acl/rules", rule).await.expect(201);
    format!("/admin/acl/rules/{}", made["id"].as_str().unwrap())
}

/// Subscribes until the answer is `code`.
pub(crate) async fn subscribed(raw: &mut Raw, filter: &str, code: u8) {
    until("another answer to SUBSCRIBE", async || {
        (raw.subscribe(filter).await == code).then_some(())
    })
    .await;
}

/// Publishes until the answer is `code`.
async fn published(raw: &mut Raw, topic: &str, code: u8) {
    until("another answer to PUBLISH", async || {
        (raw.publish(topic, "x").await == code).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_new_rule_lets_a_connected_user_in_and_its_end_shuts_the_user_out() {
    let herald = SERVER.with_users(&["alice", "bob", "admin"]).await;
    let admin = herald.http("admin").await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    let mut bob = Raw::connect(&herald, Version::V5, "bob").await;
    let (of_alice, of_bob) = (herald.name("alice"), herald.name("bob"));
    let door = &format!("rooms/{of_bob}/door");
    let room = &format!("rooms/{of_bob}/#");
    assert_eq!(bob.subscribe(room).await, 0x87);
    // What is left to him, so that his session goes on.
    assert_eq!(bob.subscribe(&herald.inbox("bob")).await, 1);

    let path = create(
        &admin,
        &rule(&format!("user:{of_bob}"), "both", "allow", "rooms/%u/#"),
    )
    .await;
    subscribed(&mut bob, room, 1).await;
    assert_eq!(bob.publish(door, "open").await, 0);
    let message = bob.take().await;
    assert_eq!(&message.topic, door);
    assert_eq!(bob.subscribe("rooms/+/#").await, 0x87);
    assert_eq!(
        bob.publish(&format!("rooms/{of_alice}/door"), "open").await,
        0x87
    );
    assert_eq!(alice.subscribe(&format!("rooms/{of_alice}/#")).await, 0x87);

    admin.delete(&path).await.expect(204);
    subscribed(&mut bob, &format!("rooms/{of_bob}/other"), 0x87).await;
    assert_eq!(bob.publish(door, "open").await, 0x87);
}

#[tokio::test]
async fn a_rule_that_is_replaced_is_in_force_as_it_is_now() {
    let herald = SERVER.with_users(&["bob", "admin"]).await;
    let admin = herald.http("admin").await;
    let mut bob = Raw::connect(&herald, Version::V5, "bob").await;
    let path = create(&admin, &rule("role:user", "publish", "allow", "a/#")).await;
    published(&mut bob, "a/1", 0).await;
    let other = rule("role:user", "publish", "allow", "b/#");
    admin.put(&path, &other).await.expect(200);
    published(&mut bob, "b/1", 0).await;
    assert_eq!(bob.publish("a/1", "x").await, 0x87);
    create(
        &admin,
        &rule(
            &format!("user:{}", herald.name("bob")),
            "publish",
            "deny",
            "+/1",
        ),
    )
    .await;
    published(&mut bob, "b/1", 0x87).await;
    assert_eq!(bob.publish("b/2", "x").await, 0);
}

#[tokio::test]
async fn the_rules_outlive_a_restart() {
    let mut herald = Herald::with_users(&["bob"]).await;
    let admin = herald.http("admin").await;
    create(&admin, &rule("everyone", "both", "allow", "rooms/%u/#")).await;
    let inbox = "/admin/acl/rules/builtin-broadcast";
    admin.delete(inbox).await.expect(204);
    herald.restart().await;
    let mut bob = Raw::connect(&herald, Version::V5, "bob").await;
    assert_eq!(bob.subscribe("rooms/bob/#").await, 1);
    assert_eq!(bob.subscribe("broadcast/#").await, 0x87);
}

#[tokio::test]
async fn a_subscription_ends_with_the_rule_that_allowed_it() {
    // What UNSUBSCRIBE answers for a filter that was, or was not, subscribed to.
    const SUCCESS: u8 = 0;
    const NONE_EXISTED: u8 = 0x11;
    let herald = SERVER.with_users(&["bob", "admin"]).await;
    let web = herald.http("admin").await;
    create(&web, &rule("role:admin", "publish", "allow", "rooms/#")).await;
    let of_bob = herald.name("bob");
    let room = |name: &str| format!("rooms/{of_bob}/{name}");
    let subject = format!("user:{of_bob}");
    let path = create(&web, &rule(&subject, "subscribe", "allow", "rooms/%u/#")).await;
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    let mut bob = Raw::connect(&herald, Version::V5, "bob").await;
    subscribed(&mut bob, &room("#"), 1).await;
    assert_eq!(bob.subscribe(&herald.topic("#")).await, 1);
    let mut probes: Vec<String> = (0..60).map(|n: u32| room(&n.to_string())).collect();
    for probe in &probes {
        assert_eq!(bob.subscribe(probe).await, 1);
    }
    published(&mut admin, &room("1"), 0).await;
    assert_eq!(bob.take().await.topic, room("1"));

    web.delete(&path).await.expect(204);
    until("the end of a subscription", async || {
        let code = bob.unsubscribe(&probes.pop().expect("it ends")).await;
        assert!([SUCCESS, NONE_EXISTED].contains(&code));
        (code == NONE_EXISTED).then_some(())
    })
    .await;
    assert_eq!(bob.unsubscribe(&room("#")).await, NONE_EXISTED);
    assert_eq!(admin.publish(&room("1"), "x").await, 0);
    assert_eq!(admin.publish(&herald.topic("now"), "x").await, 0);
    // What no rule ended goes on.
    assert_eq!(bob.take().await.topic, herald.topic("now"));
}
