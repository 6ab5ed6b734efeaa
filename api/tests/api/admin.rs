use poem::http::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Browser, Herald, PASSWORD};

async fn set_delay(browser: &Browser<'_>, delay: Value) -> Answer {
    let call = browser.call(Method::PUT, "/api/v1/admin/delay");
    call.json(delay).send().await
}

const OPERATIONS: [(Method, &str); 22] = [
    (Method::GET, "/api/v1/admin/audit"),
    (Method::GET, "/api/v1/admin/delay"),
    (Method::PUT, "/api/v1/admin/delay"),
    (Method::GET, "/api/v1/admin/users"),
    (Method::POST, "/api/v1/admin/users"),
    (Method::GET, "/api/v1/admin/users/alice"),
    (Method::PATCH, "/api/v1/admin/users/alice"),
    (Method::DELETE, "/api/v1/admin/users/alice"),
    (Method::GET, "/api/v1/admin/users/alice/delay"),
    (Method::PUT, "/api/v1/admin/users/alice/delay"),
    (Method::DELETE, "/api/v1/admin/users/alice/delay"),
    (Method::GET, "/api/v1/admin/queue"),
    (Method::POST, "/api/v1/admin/queue/pause"),
    (Method::POST, "/api/v1/admin/queue/resume"),
    (Method::GET, "/api/v1/admin/messages"),
    (Method::POST, "/api/v1/admin/messages/x/retry"),
    (Method::GET, "/api/v1/admin/acl/rules"),
    (Method::POST, "/api/v1/admin/acl/rules"),
    (Method::GET, "/api/v1/admin/acl/rules/builtin-inbox"),
    (Method::PUT, "/api/v1/admin/acl/rules/builtin-inbox"),
    (Method::DELETE, "/api/v1/admin/acl/rules/builtin-inbox"),
    (Method::POST, "/api/v1/admin/acl/check"),
];

#[tokio::test]
async fn only_administrators_may_enter() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    for (method, path) in OPERATIONS {
        let nobody = herald.call(method.clone(), path).json(json!({}));
        let answer = nobody.send().await;
        answer.expect_problem(401, "unauthenticated");
        let call = alice.call(method, path).json(json!({}));
        call.send().await.expect_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn an_administrators_page_must_send_the_csrf_token_with_what_changes_something() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    for (method, path) in OPERATIONS {
        if method == Method::GET {
            continue;
        }
        let call = herald.call(method, path).header("cookie", &admin.cookie);
        call.json(json!({}))
            .send()
            .await
            .expect_problem(403, "csrf");
    }
}

#[tokio::test]
async fn the_delay_is_changed_and_shown() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let delay = admin.get("/api/v1/admin/delay").send().await.expect(200);
    assert_eq!(delay.json, json!({"mode": "fixed", "ms": 1000}));

    let uniform = json!({"mode": "uniform", "min_ms": 10, "max_ms": 20});
    assert_eq!(
        set_delay(&admin, uniform.clone()).await.expect(200).json,
        uniform
    );
    let delay = admin.get("/api/v1/admin/delay").send().await.expect(200);
    assert_eq!(delay.json, uniform);
    let fixed = json!({"mode": "fixed", "ms": 0});
    assert_eq!(
        set_delay(&admin, fixed.clone()).await.expect(200).json,
        fixed
    );
}

#[tokio::test]
async fn a_new_delay_moves_queued_messages_only_if_asked() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let call = admin
        .post("/api/v1/messages")
        .json(json!({"body": "hello"}));
    let sent = call.send().await.expect(202).json;
    let path = format!("/api/v1/messages/{}", sent["id"].as_str().unwrap());

    set_delay(&admin, json!({"mode": "fixed", "ms": 0}))
        .await
        .expect(200);
    let seen = admin.get(&path).send().await.expect(200).json;
    assert_eq!(seen["run_at"], sent["run_at"]);

    let delay = json!({"mode": "fixed", "ms": 0, "apply_to_queued": true});
    set_delay(&admin, delay).await.expect(200);
    let seen = admin.get(&path).send().await.expect(200).json;
    assert_eq!(seen["run_at"], sent["created_at"]);
}

#[tokio::test]
async fn a_delay_that_makes_no_sense_is_refused() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    for (delay, status, code) in [
        (
            json!({"mode": "uniform", "min_ms": 20, "max_ms": 10}),
            422,
            "invalid",
        ),
        (
            json!({"mode": "fixed", "ms": 2_592_000_001_u64}),
            422,
            "invalid",
        ),
        (json!({"mode": "fixed", "ms": -1}), 400, "bad_request"),
        (json!({"mode": "gauss", "ms": 1}), 400, "bad_request"),
        (json!({"ms": 1}), 400, "bad_request"),
        (json!({"mode": "fixed"}), 422, "invalid"),
        (json!({"mode": "uniform", "min_ms": 1}), 422, "invalid"),
    ] {
        set_delay(&admin, delay).await.expect_problem(status, code);
    }
}

#[tokio::test]
async fn accounts_are_created_and_listed() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    for (name, role) in [("carol", None), ("bob", Some("admin"))] {
        let mut new = json!({"username": name, "password": PASSWORD});
        if let Some(role) = role {
            new["role"] = role.into();
        }
        let call = admin.post("/api/v1/admin/users").json(new);
        let created = call.send().await.expect(201).json;
        assert_eq!(created["username"], name);
        assert_eq!(created["role"], role.unwrap_or("user"));
        assert!(!created.to_string().contains("argon2"));
    }
    herald.login("carol", PASSWORD).await.expect(200);

    let page = admin.get("/api/v1/admin/users?limit=2").send().await;
    let page = page.expect(200).json;
    assert_eq!(page["items"][0]["username"], "bob");
    assert_eq!(page["items"][1]["username"], "carol");
    assert_eq!(page["next"], "carol");
    let page = admin.get("/api/v1/admin/users?after=carol").send().await;
    let page = page.expect(200).json;
    assert_eq!(page["items"][0]["username"], "root");
    assert_eq!(page["next"], Value::Null);
}

#[tokio::test]
async fn an_account_that_cannot_be_is_refused() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let new = |username: &str, password: &str| json!({"username": username, "password": password});
    for (user, status, code) in [
        (new("root", PASSWORD), 409, "username_taken"),
        (new("Root", PASSWORD), 422, "invalid"),
        (new("", PASSWORD), 422, "invalid"),
        (new("dave", "1234567"), 422, "invalid"),
        (new("dave", "ééééééé"), 422, "invalid"),
        (new("dave", &"x".repeat(1025)), 422, "invalid"),
        (new("dave", "hrld_horse"), 422, "invalid"),
        (json!({"username": "dave"}), 400, "bad_request"),
        (
            json!({"username": "dave", "password": PASSWORD, "role": "owner"}),
            400,
            "bad_request",
        ),
        (
            json!({"username": "dave", "password": 12345678}),
            400,
            "bad_request",
        ),
    ] {
        let call = admin.post("/api/v1/admin/users").json(user);
        call.send().await.expect_problem(status, code);
    }
}
