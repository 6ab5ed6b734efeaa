//! A user's sessions in browsers.

use herald_api::TokenScope;
use herald_store::{NewSession, Session, Timestamp};
use poem::http::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Browser, Herald};

async fn list(browser: &Browser<'_>) -> Vec<Value> {
    let listed = browser.get("/api/v1/auth/sessions").send().await;
    let listed = listed.expect(200).json;
    assert_eq!(listed["next"], Value::Null);
    listed["items"].as_array().unwrap().clone()
}

async fn end(browser: &Browser<'_>, id: &Value) -> Answer {
    let path = format!("/api/v1/auth/sessions/{}", id.as_str().unwrap());
    browser.call(Method::DELETE, &path).send().await
}

#[tokio::test]
async fn a_user_sees_every_browser_and_signs_one_out() {
    let herald = Herald::start().await;
    let phone = herald.browser("alice").await;
    let desktop = herald.sign_in("alice").await;
    herald.browser("bob").await;

    let sessions = list(&desktop).await;
    let current: Vec<_> = sessions.iter().map(|s| s["current"] == true).collect();
    assert_eq!(current.iter().filter(|current| **current).count(), 1);
    assert!(current[0], "the newest is first");
    let of_phone = list(&phone).await;
    let own = of_phone.iter().find(|s| s["current"] == true).unwrap();
    assert!(!of_phone[0].to_string().contains(&phone.csrf));

    end(&desktop, &own["id"]).await.expect(204);
    let ended = phone.get("/api/v1/auth/session").send().await;
    ended.expect_problem(401, "unauthenticated");
    end(&desktop, &own["id"])
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn nobody_ends_the_session_of_another() {
    let herald = Herald::start().await;
    let (alice, bob) = (herald.browser("alice").await, herald.browser("bob").await);
    let session = list(&alice).await.remove(0);
    assert_eq!(list(&bob).await.len(), 1);
    end(&bob, &session["id"])
        .await
        .expect_problem(404, "not_found");
    let alive = alice.get("/api/v1/auth/session").send().await;
    alive.expect(200);
}

#[tokio::test]
async fn sessions_are_listed_page_by_page() {
    let herald = Herald::start().await;
    let first = herald.browser("alice").await;
    for _ in 0..2 {
        herald.sign_in("alice").await;
    }
    let mut seen = vec![];
    let mut before = String::new();
    loop {
        let path = format!("/api/v1/auth/sessions?limit=2{before}");
        let page = first.get(&path).send().await.expect(200).json;
        let ids = page["items"].as_array().unwrap().iter();
        seen.extend(ids.map(|session| session["id"].clone()));
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 3);
    assert!(seen.is_sorted_by(|a, b| a.as_str() > b.as_str()));
}

#[tokio::test]
async fn a_session_that_ends_takes_its_mqtt_access_along() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let access = async || {
        let access = alice.post("/api/v1/auth/mqtt").send().await.expect(200);
        access.json["token"].as_str().unwrap().to_owned()
    };
    let (first, second) = (access().await, access().await);
    let works = async |secret: &str| {
        let found = herald.accounts.check_token(secret, TokenScope::Mqtt).await;
        found.unwrap().is_some()
    };
    assert!(works(&first).await && works(&second).await);
    let tokens = alice.get("/api/v1/tokens").send().await.expect(200);
    assert_eq!(tokens.json["items"], json!([]), "they are the session's");
    alice.post("/api/v1/auth/logout").send().await.expect(204);
    assert!(!works(&first).await && !works(&second).await);
}

#[tokio::test]
async fn an_mqtt_token_does_not_outlive_its_session() {
    let herald = Herald::start().await;
    let user = herald.user("alice").await;
    let now = Timestamp::now();
    let minute = std::time::Duration::from_secs(60);
    let session = NewSession {
        password_hash: user.password_hash.clone(),
        // SHA-256 of "secret".
        secret_hash: "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b".into(),
        csrf_token: "csrf".into(),
        address: "192.0.2.1".into(),
        user_agent: None,
        expires_at: now + minute,
    };
    herald
        .store
        .create_session(&user.id, session, now)
        .await
        .unwrap();
    let access = herald
        .post("/api/v1/auth/mqtt")
        .header("cookie", "__Host-herald=secret")
        .header("x-csrf-token", "csrf");
    let access = access.send().await.expect(200).json;
    assert_eq!(access["expires_at"], (now + minute).to_string());
}

#[tokio::test]
async fn an_unused_session_ends_and_use_is_noted_now_and_then() {
    let herald = Herald::start().await;
    let user = herald.user("alice").await;
    let hour = std::time::Duration::from_secs(60 * 60);
    let now = Timestamp::now();
    let ago = |hours: i64| Timestamp::from_millis(now.as_millis() - hours * 3_600_000);
    let idle = i64::try_from(Session::MAX_IDLE.as_secs() / 3600).unwrap();
    let begin = async |secret_hash: &str, began: Timestamp| {
        let session = NewSession {
            password_hash: user.password_hash.clone(),
            secret_hash: secret_hash.into(),
            csrf_token: "q0mZ4mFfQ2GdB3pH0o6V1y8n5uXk7sTa9cLwRjEiKgM".into(),
            address: "192.0.2.1".into(),
            user_agent: None,
            expires_at: now + hour,
        };
        let begun = herald.store.create_session(&user.id, session, began);
        begun.await.unwrap();
    };
    // SHA-256 of "secret" and of "other".
    begin(
        "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
        ago(idle - 1),
    )
    .await;
    begin(
        "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa",
        ago(idle),
    )
    .await;
    let call = |cookie: &str| {
        let call = herald.get("/api/v1/auth/session");
        call.header("cookie", &format!("__Host-herald={cookie}"))
    };
    call("other")
        .send()
        .await
        .expect_problem(401, "unauthenticated");
    call("secret").send().await.expect(200);
    herald.store.ping().await.unwrap();
    let sessions = herald.store.list_sessions(&user.id, None, 10, now).await;
    let [session] = &sessions.unwrap().items[..] else {
        panic!("one is left");
    };
    assert!(session.last_used_at >= now);
    assert_eq!(session.created_at, ago(idle - 1));
}
