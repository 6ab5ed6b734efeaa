use herald_store::Timestamp;
use poem::http::Method;
use serde_json::json;

use crate::client::{Herald, PASSWORD};

#[tokio::test]
async fn login_sets_a_cookie_that_only_this_host_gets_over_tls() {
    let herald = Herald::start().await;
    let alice = herald.user("alice").await;
    let answer = herald.login("alice", PASSWORD).await.expect(200);

    let cookie = answer.set_cookie("__Host-herald").unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    let mut attributes: Vec<_> = attributes.split("; ").collect();
    attributes.sort_unstable();
    assert!(pair.starts_with("__Host-herald="), "{pair}");
    assert_eq!(pair.len(), "__Host-herald=".len() + 43);
    assert_eq!(
        attributes,
        [
            "HttpOnly",
            "Max-Age=604800",
            "Path=/",
            "SameSite=Lax",
            "Secure"
        ]
    );

    let user = &answer.json["user"];
    assert_eq!(
        *user,
        json!({
            "id": alice.id.as_str(), "username": "alice", "role": "user", "disabled": false,
            "created_at": alice.created_at.to_string(),
        })
    );
    assert_eq!(answer.json["csrf_token"].as_str().unwrap().len(), 43);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_wrong_name_looks_like_a_wrong_password() {
    let herald = Herald::start().await;
    herald.user("alice").await;
    let wrong_password = herald.login("alice", "wrong horse").await;
    for name in ["nobody", "not a name!", ""] {
        let wrong_name = herald.login(name, "wrong horse").await;
        assert_eq!(wrong_name.text, wrong_password.text);
    }
    wrong_password.expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn the_eleventh_wrong_password_is_not_even_looked_at() {
    let herald = Herald::start().await;
    herald.user("alice").await;
    for _ in 0..10 {
        herald.login("alice", "wrong horse").await.expect(401);
    }
    let answer = herald
        .login("alice", PASSWORD)
        .await
        .expect_problem(429, "too_many_attempts");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=300).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_session_is_recognised_and_login_renews_it() {
    let herald = Herald::start().await;
    let first = herald.browser("alice").await;
    let session = first.get("/api/v1/auth/session").send().await.expect(200);
    assert_eq!(session.json["user"]["username"], "alice");
    assert_eq!(session.json["csrf_token"], first.csrf.as_str());

    let again = herald
        .post("/api/v1/auth/login")
        .header("cookie", &first.cookie)
        .json(json!({"username": "alice", "password": PASSWORD}))
        .send()
        .await
        .expect(200);
    assert_ne!(again.cookie(), first.cookie);
    assert_ne!(again.json["csrf_token"], first.csrf.as_str());
    let old = first.get("/api/v1/auth/session").send().await;
    old.expect_problem(401, "unauthenticated");
    let new = herald
        .get("/api/v1/auth/session")
        .header("cookie", &again.cookie());
    new.send().await.expect(200);
}

#[tokio::test]
async fn logout_ends_the_session_and_clears_the_cookie() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let answer = alice.post("/api/v1/auth/logout").send().await.expect(204);
    let cookie = answer.set_cookie("__Host-herald").unwrap();
    assert!(cookie.starts_with("__Host-herald=; "), "{cookie}");
    for attribute in ["Secure", "Path=/", "Max-Age=0"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let after = alice.get("/api/v1/auth/session").send().await;
    after.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn with_a_cookie_an_unsafe_method_needs_the_csrf_token() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let bob = herald.browser("bob").await;
    let send = || {
        herald
            .post("/api/v1/messages")
            .header("cookie", &alice.cookie)
            .json(json!({"body": "hello"}))
    };
    send().send().await.expect_problem(403, "csrf");
    for wrong in ["", "x", &bob.csrf] {
        let call = send().header("x-csrf-token", wrong);
        call.send().await.expect_problem(403, "csrf");
    }
    let call = send().header("x-csrf-token", &alice.csrf);
    call.send().await.expect(202);
}

#[tokio::test]
async fn a_page_of_one_session_reads_nothing_by_the_cookie_of_another() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let bob = herald.browser("bob").await;
    let read = |csrf: &str| {
        herald
            .get("/api/v1/messages")
            .header("cookie", &bob.cookie)
            .header("x-csrf-token", csrf)
    };
    for wrong in ["", &alice.csrf] {
        read(wrong).send().await.expect_problem(403, "csrf");
    }
    read(&bob.csrf).send().await.expect(200);
}

#[tokio::test]
async fn without_credentials_nothing_is_answered() {
    let herald = Herald::start().await;
    let calls = [
        (Method::POST, "/auth/logout"),
        (Method::GET, "/auth/sessions"),
        (Method::DELETE, "/auth/sessions/x"),
        (Method::GET, "/admin/audit"),
        (Method::GET, "/auth/session"),
        (Method::POST, "/auth/mqtt"),
        (Method::GET, "/tokens"),
        (Method::POST, "/tokens"),
        (Method::DELETE, "/tokens/x"),
        (Method::POST, "/messages"),
        (Method::GET, "/messages"),
        (Method::GET, "/messages/x"),
        (Method::GET, "/notifications"),
        (Method::POST, "/notifications/ack"),
        (Method::GET, "/admin/delay"),
        (Method::PUT, "/admin/delay"),
        (Method::GET, "/admin/users"),
        (Method::POST, "/admin/users"),
    ];
    for (method, path) in calls {
        let path = format!("/api/v1{path}");
        for cookie in ["", "__Host-herald=forged"] {
            let call = herald.call(method.clone(), &path).header("cookie", cookie);
            let answer = call.send().await.expect_problem(401, "unauthenticated");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
}

#[tokio::test]
async fn an_authorization_header_decides_alone() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    for wrong in ["Bearer hrld_wrong", "Bearer", "Basic YTpi", "hrld_wrong"] {
        let call = alice
            .get("/api/v1/auth/session")
            .header("authorization", wrong);
        call.send().await.expect_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn an_mqtt_token_connects_and_does_nothing_else() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let access = alice.post("/api/v1/auth/mqtt").send().await.expect(200);
    assert_eq!(access.json["username"], "alice");
    assert_eq!(access.json["url"], "wss://herald.example/mqtt");
    assert_eq!(access.json["inbox"], "users/alice/notifications");
    assert_eq!(access.json["progress"], "users/alice/progress");

    let secret = access.json["token"].as_str().unwrap();
    let (token, user) = herald
        .accounts
        .check_token(secret, herald_api::TokenScope::Mqtt)
        .await
        .unwrap()
        .expect("valid for MQTT");
    assert_eq!(user.username.as_str(), "alice");
    let lifetime = token.expires_at.unwrap().as_millis() - Timestamp::now().as_millis();
    assert!((3_590_000..=3_600_000).contains(&lifetime), "{lifetime}");
    assert_eq!(
        access.json["expires_at"],
        token.expires_at.unwrap().to_string()
    );

    let call = herald
        .get("/api/v1/auth/session")
        .header("authorization", &format!("Bearer {secret}"));
    call.send().await.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn the_mqtt_url_follows_the_listener_or_the_page() {
    let herald = Herald::start_with(|options| {
        options.tls = false;
        options.allowed_origins = vec!["https://herald.example".into()];
    })
    .await;
    let alice = herald.browser("alice").await;
    let plain = alice.post("/api/v1/auth/mqtt").send().await.expect(200);
    assert_eq!(plain.json["url"], "ws://herald.example/mqtt");
    // A proxy ends TLS before the listener.
    let call = alice
        .post("/api/v1/auth/mqtt")
        .header("origin", "https://herald.example");
    assert_eq!(
        call.send().await.expect(200).json["url"],
        "wss://herald.example/mqtt"
    );
}

#[tokio::test]
async fn only_administrators_see_that_the_seeded_password_stands() {
    let herald = Herald::start().await;
    herald.accounts.seed().await.unwrap();
    let alice = herald.browser("alice").await;
    let login = herald.login("admin", "admin").await.expect(200);
    assert_eq!(login.json["default_password"], true);
    let root = herald.admin().await;
    let seen = async |browser: &crate::client::Browser<'_>| {
        let session = browser.get("/api/v1/auth/session").send().await;
        session.expect(200).json["default_password"].clone()
    };
    assert_eq!(seen(&root).await, true);
    assert_eq!(seen(&alice).await, false);
    let new = json!({"password": PASSWORD});
    let change = root
        .call(Method::PATCH, "/api/v1/admin/users/admin")
        .json(new);
    change.send().await.expect(200);
    assert_eq!(seen(&root).await, false);
}
