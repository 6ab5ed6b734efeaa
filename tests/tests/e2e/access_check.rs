//! What the API says of a user is what the broker does.

use herald_tests::{
    Herald, Http, Version,
    raw::{Connect, Raw},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};

use crate::rules::{create, rule, subscribed};

/// Whose client it is, and which.
const CLIENTS: [(&str, &str); 3] = [("bob", "phone"), ("alice", "bob"), ("admin", "phone")];

/// The answers to SUBSCRIBE and PUBLISH that let a client, as long as the topics of its packets are valid.
const GRANTED: [u8; 3] = [0, 1, 2];
const NOT_AUTHORIZED: u8 = 0x87;
const QUOTA_EXCEEDED: u8 = 0x97;
const SHARED_NOT_SUPPORTED: u8 = 0x9E;

struct Clients<'a> {
    admin: &'a Http,
    raws: Vec<Raw>,
}

impl<'a> Clients<'a> {
    async fn connect(herald: &Herald, admin: &'a Http) -> Self {
        let mut raws = vec![];
        for (username, client_id) in CLIENTS {
            let connect = Connect::of(username).client_id(client_id);
            raws.push(Raw::connect_as(herald, Version::V5, &connect).await);
        }
        Self { admin, raws }
    }

    /// Asks both, and returns the reason that the API gave.
    async fn ask(&mut self, client: usize, action: &str, topic: &str) -> String {
        let (username, client_id) = CLIENTS[client];
        let what =
            json!({"username": username, "action": action, "topic": topic, "client_id": client_id});
        let told = self.admin.post("/admin/acl/check", &what).await.expect(200);
        let raw = &mut self.raws[client];
        let code = if action == "publish" {
            raw.publish(topic, r#"{"body": "x"}"#).await
        } else {
            let code = raw.subscribe(topic).await;
            if GRANTED.contains(&code) {
                raw.unsubscribe(topic).await;
            }
            code
        };
        let reason = told["reason"].as_str().unwrap().to_owned();
        let expected = match (&*reason, told["allowed"] == true) {
            ("rule" | "bridge_state", true) => &GRANTED[..],
            ("rule" | "no_rule" | "reserved" | "not_administrator", false) => &[NOT_AUTHORIZED],
            ("not_shareable", false) => &[SHARED_NOT_SUPPORTED],
            ("filter_too_long", false) => &[QUOTA_EXCEEDED],
            other => panic!("{other:?}"),
        };
        assert!(
            expected.contains(&code),
            "{username}/{client_id} {action} {topic}: {code:02x} and {told}"
        );
        assert_eq!(told["rule"] != Value::Null, reason == "rule", "{told}");
        reason
    }
}

#[tokio::test]
async fn what_the_api_says_of_a_user_is_what_the_broker_does() {
    let herald = Herald::with_users(&["alice", "bob"]).await;
    let admin = herald.http("admin").await;
    // Whatever rules can allow to everyone, and some of it not.
    for new in [
        rule("everyone", "both", "allow", "#"),
        rule("everyone", "both", "allow", "$SYS/#"),
        rule("everyone", "both", "deny", "closed/#"),
        rule("everyone", "both", "deny", "own/%c/x"),
        rule("user:admin", "subscribe", "allow", "$made"),
    ] {
        create(&admin, &new).await;
    }
    let mut clients = Clients::connect(&herald, &admin).await;
    subscribed(&mut clients.raws[2], "$made", 1).await;
    let longest = format!("{:x<1024}", "a/");
    let too_long = format!("{longest}x");
    for (action, topic, bobs, admins) in [
        ("publish", "a", "rule", "rule"),
        ("publish", "closed/1", "rule", "rule"),
        ("publish", "own/phone/x", "rule", "rule"),
        ("publish", "users", "reserved", "reserved"),
        ("publish", "users/alice/messages", "reserved", "reserved"),
        ("publish", "users/bob/notifications", "reserved", "reserved"),
        ("publish", "users/bob/messages", "rule", "reserved"),
        ("publish", "$SYS/x", "reserved", "reserved"),
        (
            "publish",
            "$SYS/broker/connection/b/state",
            "bridge_state",
            "bridge_state",
        ),
        ("publish", &too_long, "rule", "rule"),
        ("subscribe", "a/#", "rule", "rule"),
        ("subscribe", "closed/#", "rule", "rule"),
        ("subscribe", "+/1", "not_administrator", "rule"),
        ("subscribe", "#", "not_administrator", "rule"),
        ("subscribe", "users/#", "not_administrator", "rule"),
        (
            "subscribe",
            "users/+/notifications",
            "not_administrator",
            "rule",
        ),
        ("subscribe", "users/alice/#", "not_administrator", "rule"),
        ("subscribe", "users/bob/#", "rule", "rule"),
        ("subscribe", "responses/bob/#", "rule", "rule"),
        ("subscribe", "$share/g/a/+", "rule", "rule"),
        (
            "subscribe",
            "$share/g/users/bob/#",
            "not_shareable",
            "not_shareable",
        ),
        (
            "subscribe",
            "$share/g/$SYS/#",
            "not_shareable",
            "not_shareable",
        ),
        ("subscribe", "$other/#", "no_rule", "no_rule"),
        ("subscribe", &longest, "rule", "rule"),
        ("subscribe", &too_long, "filter_too_long", "filter_too_long"),
    ] {
        for (client, expected) in [(0, bobs), (2, admins)] {
            let reason = clients.ask(client, action, topic).await;
            assert_eq!(reason, expected, "{action} {topic}");
        }
    }
}

/// Levels of rules and of what is asked for.
const LEVELS: [&str; 9] = [
    "a", "b", "users", "bob", "alice", "messages", "phone", "$SYS", "",
];

/// Up to four levels, those that are `more` among them, and a `#` or none.
fn levels(random: &mut StdRng, more: &[&'static str]) -> String {
    let all = [&LEVELS[..], more].concat();
    let count = random.random_range(1..=4);
    let mut levels: Vec<&str> = (0..count).map(|_| *all.choose(random).unwrap()).collect();
    if random.random_bool(0.3) {
        // The plane that is not the rules' alone.
        levels.insert(0, "users");
    }
    if !more.is_empty() && random.random_bool(0.3) {
        levels.push("#");
    }
    levels.join("/")
}

#[tokio::test]
async fn under_any_rules_the_api_says_what_the_broker_does() {
    let herald = Herald::with_users(&["alice", "bob"]).await;
    let admin = herald.http("admin").await;
    let mut clients = Clients::connect(&herald, &admin).await;
    let mut reasons = std::collections::HashMap::<String, u32>::new();
    for seed in 0..4 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut paths = vec![];
        for _ in 0..12 {
            let subject = ["everyone", "role:user", "role:admin", "user:bob"].choose(&mut random);
            let action = ["publish", "subscribe", "both"].choose(&mut random);
            let effect = ["allow", "allow", "allow", "deny"].choose(&mut random);
            let filter = levels(&mut random, &["+", "%u", "%c"]);
            let new = rule(subject.unwrap(), action.unwrap(), effect.unwrap(), &filter);
            // What is no filter is none of the rules'.
            let answer = admin.post("/admin/acl/rules", &new).await;
            if answer.status == 201 {
                let made = answer.expect(201);
                paths.push(format!("/admin/acl/rules/{}", made["id"].as_str().unwrap()));
            }
        }
        let made = format!("$made/{seed}");
        paths.push(create(&admin, &rule("user:admin", "subscribe", "allow", &made)).await);
        subscribed(&mut clients.raws[2], &made, 1).await;
        // Or its session would end with that rule.
        clients.raws[2].unsubscribe(&made).await;
        for _ in 0..80 {
            let client = random.random_range(0..CLIENTS.len());
            let reason = if random.random() {
                let topic = levels(&mut random, &[]);
                if topic.is_empty() {
                    continue;
                }
                clients.ask(client, "publish", &topic).await
            } else {
                let share = ["", "", "$share/g/"].choose(&mut random).unwrap();
                let filter = levels(&mut random, &["+"]);
                if filter.is_empty() {
                    continue;
                }
                clients
                    .ask(client, "subscribe", &format!("{share}{filter}"))
                    .await
            };
            *reasons.entry(reason).or_default() += 1;
        }
        for path in paths {
            admin.delete(&path).await.expect(204);
        }
    }
    for reason in [
        "rule",
        "no_rule",
        "reserved",
        "not_administrator",
        "not_shareable",
    ] {
        assert!(
            reasons.contains_key(reason),
            "{reason} never came: {reasons:?}"
        );
    }
}
