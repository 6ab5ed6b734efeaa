use std::time::Duration;

use herald_acl::Role;
use herald_api::{AccountError, TokenRequest, TokenScope};
use herald_store::{NewSession, Scopes, Timestamp, TokenId, TokenOrigin};
use poem::http::Method;
use serde_json::{Value, json};

use crate::client::{Browser, Herald};

async fn create(browser: &Browser<'_>, token: Value) -> Value {
    let call = browser.post("/api/v1/tokens").json(token);
    call.send().await.expect(201).json
}

#[tokio::test]
async fn a_token_works_without_csrf_until_it_is_revoked() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let created = create(&alice, json!({"name": "script", "scopes": ["api"]})).await;
    let secret = created["token"].as_str().unwrap();
    assert!(secret.starts_with("hrld_"), "{secret}");
    assert_eq!(secret.len(), "hrld_".len() + 43);
    assert_eq!(created["scopes"], json!(["api"]));
    assert_eq!(created["expires_at"], Value::Null);

    let send = || {
        herald
            .post("/api/v1/messages")
            .header("authorization", &format!("bearer {secret}"))
            .json(json!({"body": "hello"}))
    };
    send().send().await.expect(202);
    let session = herald
        .get("/api/v1/auth/session")
        .header("authorization", &format!("Bearer {secret}"))
        .send()
        .await
        .expect(200);
    assert_eq!(session.json["user"]["username"], "alice");
    assert_eq!(session.json["csrf_token"], Value::Null);

    let path = format!("/api/v1/tokens/{}", created["id"].as_str().unwrap());
    alice.call(Method::DELETE, &path).send().await.expect(204);
    send().send().await.expect_problem(401, "unauthenticated");
    let again = alice.call(Method::DELETE, &path).send().await;
    again.expect_problem(404, "not_found");
}

#[tokio::test]
async fn tokens_are_listed_newest_first_without_their_text() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let bob = herald.browser("bob").await;
    create(&bob, json!({"name": "bob's", "scopes": ["api"]})).await;
    let first = create(&alice, json!({"name": "first", "scopes": ["mqtt", "api"]})).await;
    let second = create(
        &alice,
        json!({"name": "second", "scopes": ["mqtt"], "expires_in_s": 60}),
    )
    .await;

    let page = alice.get("/api/v1/tokens?limit=1").send().await.expect(200);
    assert_eq!(
        page.json,
        json!({
            "items": [{
                "id": second["id"], "name": "second", "scopes": ["mqtt"],
                "created_at": second["created_at"], "expires_at": second["expires_at"],
                "last_used_at": null,
            }],
            "next": second["id"],
        })
    );
    let next = format!("/api/v1/tokens?before={}", second["id"].as_str().unwrap());
    let page = alice.get(&next).send().await.expect(200);
    assert_eq!(page.json["items"].as_array().unwrap().len(), 1);
    assert_eq!(page.json["items"][0]["id"], first["id"]);
    assert_eq!(page.json["items"][0]["scopes"], json!(["api", "mqtt"]));
    assert_eq!(page.json["next"], Value::Null);
}

#[tokio::test]
async fn another_users_token_cannot_be_revoked() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    herald.account("mallory", Role::Admin).await;
    let mallory = herald.sign_in("mallory").await;
    let created = create(&alice, json!({"name": "script", "scopes": ["api"]})).await;
    let path = format!("/api/v1/tokens/{}", created["id"].as_str().unwrap());
    let call = mallory.call(Method::DELETE, &path);
    call.send().await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_token_that_makes_no_sense_is_refused() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let cases = [
        (json!({"name": "", "scopes": ["api"]}), 422, "invalid"),
        (
            json!({"name": "x".repeat(65), "scopes": ["api"]}),
            422,
            "invalid",
        ),
        (json!({"name": "a\nb", "scopes": ["api"]}), 422, "invalid"),
        (json!({"name": "x", "scopes": []}), 422, "invalid"),
        (
            json!({"name": "x", "scopes": ["everything"]}),
            400,
            "bad_request",
        ),
        (
            json!({"name": "x", "scopes": ["api"], "expires_in_s": 0}),
            400,
            "bad_request",
        ),
        (json!({"scopes": ["api"]}), 400, "bad_request"),
    ];
    for (token, status, code) in cases {
        let call = alice.post("/api/v1/tokens").json(token);
        call.send().await.expect_problem(status, code);
    }
}

#[tokio::test]
async fn a_token_gives_no_more_than_it_has() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let short = json!({"name": "short", "scopes": ["api"], "expires_in_s": 60});
    let short = create(&alice, short).await;
    let program = herald.bearer(short["token"].as_str().unwrap());
    let make = async |token: Value| program.post("/api/v1/tokens").json(token).send().await;
    for scopes in [json!(["mqtt"]), json!(["api", "mqtt"])] {
        let refused = make(json!({"name": "more", "scopes": scopes})).await;
        refused.expect_problem(403, "insufficient_scope");
    }
    let mqtt = program.post("/api/v1/auth/mqtt").send().await;
    mqtt.expect_problem(403, "insufficient_scope");

    for expires_in_s in [Value::Null, json!(3600)] {
        let mut new = json!({"name": "child", "scopes": ["api"]});
        if !expires_in_s.is_null() {
            new["expires_in_s"] = expires_in_s;
        }
        let made = make(new).await.expect(201).json;
        assert_eq!(made["expires_at"], short["expires_at"]);
    }
}

#[tokio::test]
async fn what_a_token_made_is_revoked_with_it() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let root = create(&alice, json!({"name": "root", "scopes": ["api", "mqtt"]})).await;
    let program = herald.bearer(root["token"].as_str().unwrap());
    let child = json!({"name": "child", "scopes": ["api"]});
    let child = program.post("/api/v1/tokens").json(child).send().await;
    let child = child.expect(201).json["token"].as_str().unwrap().to_owned();
    let access = program.post("/api/v1/auth/mqtt").send().await.expect(200);
    let access = access.json["token"].as_str().unwrap().to_owned();
    let session = || herald.bearer(&child).get("/api/v1/auth/session").send();
    session().await.expect(200);

    let path = format!("/api/v1/tokens/{}", root["id"].as_str().unwrap());
    alice.call(Method::DELETE, &path).send().await.expect(204);
    session().await.expect_problem(401, "unauthenticated");
    let mqtt = herald.accounts.check_token(&access, TokenScope::Mqtt).await;
    assert!(mqtt.unwrap().is_none());
}

#[tokio::test]
async fn it_is_told_when_a_token_was_last_used() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let secret = alice.token(&["api"]).await;
    let last = async || {
        let tokens = alice.get("/api/v1/tokens").send().await.expect(200).json;
        tokens["items"][0]["last_used_at"].clone()
    };
    assert_eq!(last().await, Value::Null);
    let session = herald.bearer(&secret).get("/api/v1/auth/session").send();
    session.await.expect(200);
    herald.store.ping().await.unwrap();
    assert!(last().await.is_string());
}

/// What another process has ended may still be remembered, for less than a second: enough to read and to send, and no more.
#[tokio::test]
async fn what_is_remembered_begins_nothing_that_lasts() {
    let herald = Herald::start().await;
    let elsewhere = herald.elsewhere().await;
    let alice = herald.browser("alice").await;
    // A machine that is slow may need some.
    for attempt in 1.. {
        let created = create(&alice, json!({"name": "script", "scopes": ["api"]})).await;
        let secret = format!("Bearer {}", created["token"].as_str().unwrap());
        let call = |method, path| {
            let call = herald.call(method, path);
            call.header("authorization", &secret)
        };
        let last = herald.store.last_rights_change().await.unwrap();
        herald.store.rights_changes(last).await.unwrap();
        let read = call(Method::GET, "/api/v1/auth/session");
        read.send().await.expect(200);
        let id = TokenId::from_string(created["id"].as_str().unwrap());
        let alice = herald.store.token_owner(&id).await.unwrap().unwrap().id;
        let now = Timestamp::now();
        assert!(elsewhere.revoke_token(&alice, &id, now).await.unwrap());

        let token = json!({"name": "late", "scopes": ["api"]});
        let made = call(Method::POST, "/api/v1/tokens").json(token);
        made.send().await.expect_problem(401, "unauthenticated");
        let password = json!({"current": "?", "new": "another horse battery"});
        let changed = call(Method::PUT, "/api/v1/auth/password").json(password);
        changed.send().await.expect_problem(401, "unauthenticated");
        let revoked = call(Method::DELETE, "/api/v1/tokens/none");
        revoked.send().await.expect_problem(401, "unauthenticated");

        let sent = call(Method::POST, "/api/v1/messages").json(json!({"body": "hello"}));
        let sent = sent.send().await.status;
        let read = call(Method::GET, "/api/v1/auth/session")
            .send()
            .await
            .status;
        if (sent.as_u16(), read.as_u16()) == (202, 200) {
            break;
        }
        assert!(attempt < 20, "nothing is remembered");
    }
    herald.store.rights_changes(0).await.unwrap();
}

/// A session that ends while its request is on its way makes no token.
#[tokio::test]
async fn a_session_that_has_ended_makes_no_token() {
    let herald = Herald::start().await;
    let alice = herald.user("alice").await;
    let begin = |secret_hash: &str| NewSession {
        password_hash: alice.password_hash.clone(),
        secret_hash: secret_hash.into(),
        csrf_token: "csrf".into(),
        address: "192.0.2.1".into(),
        user_agent: None,
        expires_at: Timestamp::now() + Duration::from_secs(60),
    };
    let now = Timestamp::now();
    let session = begin("hash");
    herald
        .store
        .create_session(&alice.id, session, now)
        .await
        .unwrap();
    let session = herald.store.session("hash", now).await.unwrap().unwrap();
    let make = || {
        let request = TokenRequest {
            name: "script",
            scopes: Scopes {
                api: true,
                mqtt: false,
            },
            ttl: None,
            not_after: None,
            origin: TokenOrigin::SignedIn(session.id.clone()),
        };
        herald.accounts.issue_token(&alice.id, request)
    };
    make().await.unwrap();
    let ended = herald.store.end_session(&alice.id, &session.id, now).await;
    assert!(ended.unwrap());
    assert!(matches!(make().await, Err(AccountError::Ended)));
}
