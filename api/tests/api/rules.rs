use herald_acl::Policy;
use poem::http::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Browser, Herald};

const RULES: &str = "/api/v1/admin/acl/rules";

fn lamps() -> Value {
    json!({"subject": "role:user", "action": "both", "effect": "allow", "filter": "lamps/%u/#"})
}

async fn create(browser: &Browser<'_>, rule: Value) -> Answer {
    browser.post(RULES).json(rule).send().await
}

async fn on(browser: &Browser<'_>, method: Method, rule: &Value) -> Answer {
    let path = format!("{RULES}/{}", rule["id"].as_str().unwrap());
    let call = browser.call(method.clone(), &path);
    if method == Method::PUT {
        let mut content = rule.clone();
        for made_by_the_server in ["id", "created_at"] {
            content.as_object_mut().unwrap().remove(made_by_the_server);
        }
        return call.json(content).send().await;
    }
    call.send().await
}

async fn check(browser: &Browser<'_>, what: Value) -> Answer {
    let call = browser.post("/api/v1/admin/acl/check");
    call.json(what).send().await
}

#[tokio::test]
async fn the_built_in_rules_are_listed_page_by_page() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let all = admin.get(RULES).send().await.expect(200).json;
    assert_eq!(all["next"], Value::Null);
    let all = all["items"].as_array().unwrap().clone();
    assert_eq!(all.len(), Policy::builtin_rules().len());
    let mut inbox = all
        .iter()
        .find(|rule| rule["id"] == "builtin-inbox")
        .unwrap()
        .clone();
    assert!(inbox["created_at"].as_str().unwrap().ends_with('Z'));
    inbox["created_at"] = Value::Null;
    assert_eq!(
        inbox,
        json!({
            "id": "builtin-inbox", "subject": "everyone", "action": "subscribe", "effect": "allow",
            "filter": "users/%u/#", "description": "Users read their own inbox.", "created_at": null,
        })
    );

    let mut seen = Vec::new();
    let mut path = format!("{RULES}?limit=3");
    loop {
        let page = admin.get(&path).send().await.expect(200).json;
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("{RULES}?limit=3&after={next}");
    }
    assert_eq!(seen, all);
}

#[tokio::test]
async fn a_rule_is_made_seen_replaced_and_deleted() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let made = create(&admin, lamps()).await.expect(201).json;
    assert_eq!(made["subject"], "role:user");
    assert_eq!(made["action"], "both");
    assert_eq!(made["effect"], "allow");
    assert_eq!(made["filter"], "lamps/%u/#");
    assert_eq!(made["description"], Value::Null);
    let seen = on(&admin, Method::GET, &made).await.expect(200).json;
    assert_eq!(seen, made);

    let mut other = made.clone();
    other["subject"] = "user:bob".into();
    other["action"] = "publish".into();
    other["effect"] = "deny".into();
    other["filter"] = "$SYS/%%/+".into();
    other["description"] = "Bob – not there.".into();
    let replaced = on(&admin, Method::PUT, &other).await.expect(200).json;
    assert_eq!(replaced, other);
    let seen = on(&admin, Method::GET, &made).await.expect(200).json;
    assert_eq!(seen, other);

    on(&admin, Method::DELETE, &made).await.expect(204);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let gone = on(&admin, method, &made).await;
        gone.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn the_built_in_rules_can_be_replaced_and_deleted() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let mut send = lamps();
    send["id"] = "builtin-send".into();
    let replaced = on(&admin, Method::PUT, &send).await.expect(200).json;
    assert_eq!(replaced["id"], "builtin-send");
    on(&admin, Method::DELETE, &json!({"id": "builtin-inbox"}))
        .await
        .expect(204);
    let left = admin.get(RULES).send().await.expect(200).json;
    let left = left["items"].as_array().unwrap();
    assert_eq!(left.len(), Policy::builtin_rules().len() - 1);
}

#[tokio::test]
async fn a_rule_about_a_group_is_made_and_decides() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let mut rule = lamps();
    rule["subject"] = "everyone".into();
    rule["action"] = "subscribe".into();
    rule["filter"] = "$share/crew/jobs/#".into();
    let made = create(&admin, rule).await.expect(201).json;
    assert_eq!(made["filter"], "$share/crew/jobs/#");
    for (filter, allowed) in [
        ("$share/crew/jobs/1", true),
        ("$share/x/jobs/1", false),
        ("jobs/1", false),
    ] {
        let asked = json!({"username": "root", "action": "subscribe", "topic": filter});
        let decision = check(&admin, asked).await.expect(200).json;
        let by_it = decision["rule"]["id"] == made["id"];
        assert_eq!(by_it, allowed, "{filter}: {decision}");
    }
}

#[tokio::test]
async fn a_rule_that_makes_no_sense_is_refused_and_it_is_said_why() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    for (key, value, said) in [
        ("filter", "".into(), "filter: "),
        ("filter", "a/%u-%c".into(), "byte 5"),
        ("filter", "a/%x".into(), "byte 2"),
        ("filter", "a/#/b".into(), "byte 2"),
        ("filter", "$share/g".into(), "filter: "),
        ("filter", "$share/g/%u".into(), "byte 9"),
        ("filter", "$share/g/a".into(), "subscribing alone"),
        ("filter", "a\u{0}".into(), "byte 1"),
        ("subject", "nobody".into(), "user:NAME"),
        ("subject", "everyone:x".into(), "user:NAME"),
        ("subject", "role:owner".into(), "owner"),
        ("subject", "user:No Name".into(), "subject: "),
        ("description", "x".repeat(501), "500"),
        ("description", "a\nb".into(), "control"),
    ] {
        let mut rule = lamps();
        rule[key] = Value::String(value);
        for answer in [
            create(&admin, rule.clone()).await,
            admin
                .call(Method::PUT, &format!("{RULES}/builtin-inbox"))
                .json(rule.clone())
                .send()
                .await,
        ] {
            let problem = answer.expect_problem(422, "invalid");
            let detail = problem.json["detail"].as_str().unwrap();
            assert!(detail.contains(said), "{rule}: {detail}");
        }
    }
    for (key, value) in [
        ("action", json!("read")),
        ("effect", json!("maybe")),
        ("filter", json!(7)),
        ("subject", json!({"kind": "everyone"})),
        ("filter", Value::Null),
    ] {
        let mut rule = lamps();
        rule[key] = value;
        let refused = create(&admin, rule).await;
        refused.expect_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn past_a_thousand_there_is_no_other_rule() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    for _ in Policy::builtin_rules().len()..1000 {
        create(&admin, lamps()).await.expect(201);
    }
    let refused = create(&admin, lamps()).await;
    refused.expect_problem(409, "too_many_rules");
}

#[tokio::test]
async fn what_a_user_may_do_is_told_with_the_rule_that_decides() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    herald.user("bob").await;
    let made = create(&admin, lamps()).await.expect(201).json;
    let mut deny = lamps();
    deny["effect"] = "deny".into();
    deny["filter"] = "lamps/+/%c".into();
    let deny = create(&admin, deny).await.expect(201).json;
    let ask = async |username: &str, action: &str, topic: &str| {
        let what =
            json!({"username": username, "action": action, "topic": topic, "client_id": "key"});
        let answer = check(&admin, what).await.expect(200).json;
        (answer["allowed"] == true, answer["rule"].clone())
    };
    assert_eq!(ask("bob", "publish", "lamps/bob/1").await, (true, made));
    let denied = ask("bob", "publish", "lamps/bob/key").await;
    assert_eq!(denied, (false, deny.clone()));
    assert_eq!(ask("bob", "subscribe", "lamps/bob/#").await, (false, deny));
    let none = ask("bob", "subscribe", "lamps/alice/1").await;
    assert_eq!(none, (false, Value::Null));
    let (allowed, rule) = ask("bob", "subscribe", "users/bob/notifications").await;
    assert_eq!((allowed, &rule["id"]), (true, &json!("builtin-inbox")));
    let (allowed, rule) = ask("root", "subscribe", "users/bob/notifications").await;
    assert_eq!((allowed, &rule["id"]), (true, &json!("builtin-debug")));
    // Without its id a client is denied what the rule about ids may deny.
    let what = json!({"username": "bob", "action": "publish", "topic": "lamps/bob/1"});
    let answer = check(&admin, what).await.expect(200).json;
    assert_eq!(answer["allowed"], false);

    let disable = admin.call(Method::PATCH, "/api/v1/admin/users/bob");
    let disable = disable.json(json!({"disabled": true}));
    disable.send().await.expect(200);
    let locked = ask("bob", "subscribe", "users/bob/notifications").await;
    assert_eq!(locked, (false, Value::Null));
    let what = json!({"username": "bob", "action": "publish", "topic": "lamps/bob/1"});
    let answer = check(&admin, what).await.expect(200).json;
    assert_eq!(answer["reason"], "locked");
}

#[tokio::test]
async fn what_no_rule_can_allow_is_told_as_refused() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    herald.user("bob").await;
    for filter in ["#", "$SYS/#"] {
        let rule =
            json!({"subject": "everyone", "action": "both", "effect": "allow", "filter": filter});
        create(&admin, rule).await.expect(201);
    }
    let too_long = "x".repeat(1025);
    for (action, topic, allowed, reason) in [
        ("publish", "users/alice/messages", false, "reserved"),
        ("publish", "$SYS/x", false, "reserved"),
        (
            "publish",
            "$SYS/broker/connection/b/state",
            true,
            "bridge_state",
        ),
        ("publish", "x", true, "rule"),
        ("publish", &too_long, true, "rule"),
        ("subscribe", "users/alice/#", false, "not_administrator"),
        ("subscribe", "#", false, "not_administrator"),
        ("subscribe", "x/#", true, "rule"),
        ("subscribe", "$share/g/x", true, "rule"),
        ("subscribe", "$share/g/users/bob/#", false, "not_shareable"),
        ("subscribe", "$other", false, "no_rule"),
        ("subscribe", &too_long, false, "filter_too_long"),
    ] {
        let what = json!({"username": "bob", "action": action, "topic": topic});
        let answer = check(&admin, what).await.expect(200).json;
        assert_eq!(answer["allowed"], allowed, "{action} {topic}");
        assert_eq!(answer["reason"], reason, "{action} {topic}");
        assert_eq!(answer["rule"] != Value::Null, reason == "rule", "{answer}");
    }
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_refused() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let ask = |username: &str, action: &str, topic: &str| json!({"username": username, "action": action, "topic": topic});
    for (what, status, code) in [
        (ask("nobody", "publish", "x"), 404, "not_found"),
        (ask("No Name", "publish", "x"), 422, "invalid"),
        (ask("root", "publish", "a/#"), 422, "invalid"),
        (ask("root", "subscribe", "a/#/b"), 422, "invalid"),
        (ask("root", "publish", ""), 422, "invalid"),
        (
            json!({"username": "root", "action": "publish", "topic": "x", "client_id": "x".repeat(257)}),
            422,
            "invalid",
        ),
        (ask("root", "both", "x"), 400, "bad_request"),
        (json!({"username": "root"}), 400, "bad_request"),
    ] {
        check(&admin, what).await.expect_problem(status, code);
    }
}
