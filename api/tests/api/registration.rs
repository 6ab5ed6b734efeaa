//! Making an account for oneself.

use serde_json::{Value, json};

use crate::client::{Answer, Herald, PASSWORD};

#[tokio::test]
async fn whoever_comes_is_told_whether_they_may_register() {
    for open in [false, true] {
        let herald = Herald::start_with(|options| options.registration = open).await;
        let told = herald.get("/api/v1/auth/registration").send().await;
        assert_eq!(told.expect(200).json, json!({"open": open}));
    }
}

async fn register(herald: &Herald, new: Value) -> Answer {
    let call = herald.post("/api/v1/auth/register").json(new);
    call.send().await
}

#[tokio::test]
async fn nobody_registers_unless_the_server_is_open() {
    let herald = Herald::start().await;
    let refused = register(&herald, json!({"username": "alice", "password": PASSWORD})).await;
    refused.expect_problem(403, "registration_closed");
    herald.login("alice", PASSWORD).await.expect(401);
}

#[tokio::test]
async fn whoever_registers_is_an_ordinary_user_and_signs_in() {
    let herald = Herald::start_with(|options| options.registration = true).await;
    let new = json!({"username": "alice", "password": PASSWORD});
    let made = register(&herald, new.clone()).await.expect(201).json;
    assert_eq!(
        (&made["username"], &made["role"]),
        (&json!("alice"), &json!("user"))
    );
    herald.login("alice", PASSWORD).await.expect(200);
    let told = herald.audited("user.registered").await;
    assert_eq!(told, [json!([null, "alice", null, 1])]);

    register(&herald, new)
        .await
        .expect_problem(409, "username_taken");
    for (new, status, code) in [
        (
            json!({"username": "Bob", "password": PASSWORD}),
            422,
            "invalid",
        ),
        (
            json!({"username": "bob", "password": "short"}),
            422,
            "invalid",
        ),
        (
            json!({"username": "bob", "password": PASSWORD, "role": "admin"}),
            400,
            "bad_request",
        ),
    ] {
        let refused = register(&herald, new).await;
        refused.expect_problem(status, code);
    }
    assert_eq!(herald.audited("user.registered").await.len(), 1);
}

#[tokio::test]
async fn an_address_makes_only_so_many_accounts() {
    let herald = Herald::start_with(|options| options.registration = true).await;
    let mut last = None;
    for n in 0..11 {
        let new = json!({"username": format!("u{n}"), "password": PASSWORD});
        last = Some(register(&herald, new).await);
    }
    let refused = last.unwrap().expect_problem(429, "rate_limited");
    assert!(refused.header("retry-after").is_some());
}
