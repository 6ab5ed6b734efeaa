use herald_acl::Role;
use herald_api::TokenScope;
use poem::http::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Browser, Herald, PASSWORD};

async fn change(browser: &Browser<'_>, name: &str, change: Value) -> Answer {
    let path = format!("/api/v1/admin/users/{name}");
    let call = browser.call(Method::PATCH, &path);
    call.json(change).send().await
}

async fn delete(browser: &Browser<'_>, name: &str) -> Answer {
    let path = format!("/api/v1/admin/users/{name}");
    browser.call(Method::DELETE, &path).send().await
}

async fn is_signed_in(browser: &Browser<'_>) -> bool {
    let answer = browser.get("/api/v1/auth/session").send().await;
    answer.status == 200
}

#[tokio::test]
async fn an_account_is_shown_by_its_name() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let alice = herald.user("alice").await;
    let shown = admin.get("/api/v1/admin/users/alice").send().await;
    assert_eq!(
        shown.expect(200).json,
        json!({
            "id": alice.id.as_str(), "username": "alice", "role": "user", "disabled": false,
            "created_at": alice.created_at.to_string(), "stored_bytes": 0,
        })
    );
}

#[tokio::test]
async fn an_account_that_does_not_exist_is_not_found() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    for name in ["nobody", "No%20Name", "%2e%2e", "%00"] {
        let path = format!("/api/v1/admin/users/{name}");
        for method in [Method::GET, Method::PATCH, Method::DELETE] {
            let call = admin.call(method, &path).json(json!({}));
            call.send().await.expect_problem(404, "not_found");
        }
    }
}

#[tokio::test]
async fn only_what_is_given_changes() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    herald.user("alice").await;
    let nothing = change(&admin, "alice", json!({})).await.expect(200).json;
    assert_eq!(nothing["role"], "user");
    assert_eq!(nothing["disabled"], false);
    let null = json!({"role": null, "disabled": null, "password": null});
    assert_eq!(
        change(&admin, "alice", null).await.expect(200).json,
        nothing
    );

    let promoted = change(&admin, "alice", json!({"role": "admin"})).await;
    let promoted = promoted.expect(200).json;
    assert_eq!(promoted["role"], "admin");
    assert_eq!(promoted["disabled"], false);
    let alice = herald.sign_in("alice").await;
    let users = alice.get("/api/v1/admin/users").send().await;
    users.expect(200);
    let demoted = json!({"role": "user"});
    change(&admin, "alice", demoted).await.expect(200);
    let users = alice.get("/api/v1/admin/users").send().await;
    users.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn a_disabled_user_has_no_way_in() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let alice = herald.browser("alice").await;
    let secret = alice.token(&["api", "mqtt"]).await;
    let by_token = || herald.bearer(&secret).get("/api/v1/messages").send();
    by_token().await.expect(200);

    let disabled = change(&admin, "alice", json!({"disabled": true})).await;
    assert_eq!(disabled.expect(200).json["disabled"], true);
    assert!(!is_signed_in(&alice).await);
    by_token().await.expect_problem(401, "unauthenticated");
    for scope in [TokenScope::Api, TokenScope::Mqtt] {
        let found = herald.accounts.check_token(&secret, scope).await;
        assert!(found.unwrap().is_none(), "{scope:?}");
    }
    let login = herald.login("alice", PASSWORD).await;
    login.expect_problem(401, "invalid_credentials");

    let enabled = json!({"disabled": false});
    change(&admin, "alice", enabled).await.expect(200);
    by_token().await.expect(200);
    herald.login("alice", PASSWORD).await.expect(200);
    assert!(!is_signed_in(&alice).await, "an ended session stays ended");
}

#[tokio::test]
async fn an_administrator_sets_a_password() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let alice = herald.browser("alice").await;
    let new = json!({"password": "battery staple"});
    let changed = change(&admin, "alice", new.clone()).await.expect(200);
    assert!(!changed.text.contains("battery"));
    assert!(!is_signed_in(&alice).await);
    herald.login("alice", PASSWORD).await.expect(401);
    herald.login("alice", "battery staple").await.expect(200);

    // The own session stays.
    change(&admin, "root", new).await.expect(200);
    assert!(is_signed_in(&admin).await);
}

#[tokio::test]
async fn a_change_that_makes_no_sense_is_refused() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    herald.user("alice").await;
    for (new, status, code) in [
        (json!({"password": "short"}), 422, "invalid"),
        (json!({"password": "hrld_horse"}), 422, "invalid"),
        (json!({"role": "owner"}), 400, "bad_request"),
        (json!({"disabled": "yes"}), 400, "bad_request"),
        (json!({"disable": true}), 400, "bad_request"),
        (json!({"username": "bob"}), 400, "bad_request"),
        (json!([]), 400, "bad_request"),
    ] {
        let refused = change(&admin, "alice", new).await;
        refused.expect_problem(status, code);
    }
    herald.login("alice", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn the_last_administrator_who_can_sign_in_stays_one() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    herald.account("second", Role::Admin).await;
    let disable = json!({"disabled": true});
    change(&admin, "second", disable.clone()).await.expect(200);
    for new in [disable, json!({"role": "user"})] {
        let refused = change(&admin, "root", new).await;
        refused.expect_problem(409, "last_administrator");
    }
    let refused = delete(&admin, "root").await;
    refused.expect_problem(409, "last_administrator");

    let enable = json!({"disabled": false});
    change(&admin, "second", enable).await.expect(200);
    delete(&admin, "root").await.expect(204);
    assert!(!is_signed_in(&admin).await);
    herald.login("second", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_deleted_user_leaves_nothing_to_the_next_of_the_name() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let alice = herald.browser("alice").await;
    let send = alice.post("/api/v1/messages").json(json!({"body": "mine"}));
    send.send().await.expect(202);
    delete(&admin, "alice").await.expect(204);
    delete(&admin, "alice")
        .await
        .expect_problem(404, "not_found");
    assert!(!is_signed_in(&alice).await);
    herald.login("alice", PASSWORD).await.expect(401);

    let second = herald.browser("alice").await;
    let messages = second.get("/api/v1/messages").send().await;
    assert_eq!(messages.expect(200).json["items"], json!([]));
}
