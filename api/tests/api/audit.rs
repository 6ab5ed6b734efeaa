//! Who did what, when, and from where.

use poem::http::Method;
use serde_json::{Value, json};

use crate::client::{Herald, PASSWORD};

#[tokio::test]
async fn sign_ins_that_succeed_or_fail_and_sign_outs_are_audited() {
    let herald = Herald::start().await;
    herald.login("alice", "wrong horse").await.expect(401);
    let alice = herald.browser("alice").await;
    alice.post("/api/v1/auth/logout").send().await.expect(204);
    for _ in 0..11 {
        herald.login("alice", "wrong horse").await;
    }
    let sign_ins = herald.audited("sign_in").await;
    // The target is the session.
    assert_eq!((&sign_ins[0][0], sign_ins.len()), (&json!("alice"), 1));
    assert!(sign_ins[0][1].is_string());
    assert_eq!(
        herald.audited("sign_out").await,
        [json!(["alice", null, null, 1])]
    );
    let mut failed = herald.audited("sign_in.failed").await;
    failed.sort_by_key(Value::to_string);
    assert_eq!(
        failed,
        [
            json!([null, "alice", "too many tries", 1]),
            json!([null, "alice", "too many tries", 1]),
            json!([null, "alice", "wrong", 1]),
            json!([null, "alice", "wrong", 8]),
            // There was no such account then: what was entered as a name is not repeated.
            json!([null, null, "wrong", 1]),
        ]
    );
}

#[tokio::test]
async fn a_password_in_the_wrong_field_is_not_audited() {
    let herald = Herald::start().await;
    herald.user("alice").await;
    herald.login("hunter2", "alice").await.expect(401);
    let failed = herald.audited("sign_in.failed").await;
    assert_eq!(failed, [json!([null, null, "wrong", 1])]);
}

#[tokio::test]
async fn what_is_denied_is_audited() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    for _ in 0..3 {
        let users = alice.get("/api/v1/admin/users?limit=1").send().await;
        users.expect_problem(403, "forbidden");
    }
    let forged = herald
        .post("/api/v1/messages")
        .header("cookie", &alice.cookie);
    let forged = forged.json(json!({"body": "x"})).send().await;
    forged.expect_problem(403, "csrf");
    let mut denied = herald.audited("access.denied").await;
    denied.sort_by_key(Value::to_string);
    let admin = |count| json!(["alice", "GET /admin/users", "administrators only", count]);
    let csrf = json!(["alice", "POST /messages", "CSRF token", 1]);
    assert_eq!(denied, [admin(1), admin(2), csrf]);
}

#[tokio::test]
async fn all_that_an_administrator_changes_is_audited() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let call = async |method: Method, path: &str, body: Value, status: u16| {
        let call = admin.call(method, &format!("/api/v1{path}"));
        call.json(body).send().await.expect(status).json
    };
    let (post, put, patch, delete) = (Method::POST, Method::PUT, Method::PATCH, Method::DELETE);
    let user = json!({"username": "carol", "password": PASSWORD});
    call(post.clone(), "/admin/users", user.clone(), 201).await;
    call(post.clone(), "/admin/users", user, 409).await;
    let change = json!({"role": "admin", "disabled": false, "password": "battery staple"});
    call(patch, "/admin/users/carol", change, 200).await;
    let delay = json!({"mode": "uniform", "min_ms": 1, "max_ms": 2, "apply_to_queued": true});
    call(put.clone(), "/admin/delay", delay.clone(), 200).await;
    call(put.clone(), "/admin/users/carol/delay", delay, 200).await;
    let path = "/admin/users/carol/delay";
    call(delete.clone(), path, Value::Null, 204).await;
    call(post.clone(), "/admin/queue/pause", Value::Null, 204).await;
    call(post.clone(), "/admin/queue/resume", Value::Null, 204).await;
    let rule =
        json!({"subject": "role:user", "action": "both", "effect": "deny", "filter": "x/%u"});
    let made = call(post.clone(), "/admin/acl/rules", rule.clone(), 201).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("/admin/acl/rules/{id}");
    call(put, &path, rule, 200).await;
    call(delete.clone(), &path, Value::Null, 204).await;
    call(delete.clone(), &path, Value::Null, 404).await;
    call(delete, "/admin/users/carol", Value::Null, 204).await;

    let text = "deny role:user both x/%u";
    for (action, target, detail) in [
        ("user.created", json!("carol"), json!("role user")),
        (
            "user.changed",
            json!("carol"),
            json!("role admin, enabled, password"),
        ),
        (
            "delay.changed",
            json!(null),
            json!("1 to 2 ms, also of what is queued"),
        ),
        (
            "user_delay.changed",
            json!("carol"),
            json!("1 to 2 ms, also of what is queued"),
        ),
        ("user_delay.removed", json!("carol"), json!(null)),
        ("queue.paused", json!(null), json!(null)),
        ("queue.resumed", json!(null), json!(null)),
        ("rule.created", json!(id), json!(text)),
        ("rule.replaced", json!(id), json!(text)),
        ("rule.deleted", json!(id), json!(text)),
        ("user.deleted", json!("carol"), json!(null)),
    ] {
        let entries = herald.audited(action).await;
        assert_eq!(entries, [json!(["root", target, detail, 1])], "{action}");
    }
    assert_eq!(*herald.forgotten.lock(), ["carol"]);
}

#[tokio::test]
async fn what_users_do_to_their_own_access_is_audited() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let other = herald.sign_in("alice").await;
    alice.token(&["api"]).await;
    let tokens = alice.get("/api/v1/tokens").send().await.expect(200).json;
    let token = tokens["items"][0]["id"].as_str().unwrap();
    let revoke = alice.call(Method::DELETE, &format!("/api/v1/tokens/{token}"));
    revoke.send().await.expect(204);
    let sessions = other
        .get("/api/v1/auth/sessions")
        .send()
        .await
        .expect(200)
        .json;
    let session = sessions["items"][0]["id"].as_str().unwrap();
    let end = alice.call(Method::DELETE, &format!("/api/v1/auth/sessions/{session}"));
    end.send().await.expect(204);
    let new = json!({"current": PASSWORD, "new": "battery staple"});
    let change = alice.call(Method::PUT, "/api/v1/auth/password").json(new);
    change.send().await.expect(204);
    for (action, expected) in [
        ("token.created", json!(["alice", token, "script", 1])),
        ("token.revoked", json!(["alice", token, null, 1])),
        ("session.ended", json!(["alice", session, null, 1])),
        ("password.changed", json!(["alice", null, null, 1])),
    ] {
        assert_eq!(herald.audited(action).await, [expected], "{action}");
    }
}

#[tokio::test]
async fn administrators_read_it_page_by_page_and_by_what_it_says() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    herald.browser("alice").await;
    let get = async |query: &str| {
        let call = admin.get(&format!("/api/v1/admin/audit{query}"));
        call.send().await.expect(200).json
    };
    let all = get("").await;
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let newest = &items[0];
    assert_eq!(
        (&newest["action"], &newest["actor"]),
        (&json!("sign_in"), &json!("alice"))
    );
    assert_eq!(newest["address"], "0.0.0.0");
    assert_eq!(newest["count"], 1);
    let page = get("?limit=1").await;
    let rest = get(&format!("?before={}", page["next"].as_str().unwrap())).await;
    assert_eq!(rest["items"], json!([items[1]]));
    assert_eq!(get("?actor=root").await["items"], json!([items[1]]));
    assert_eq!(get("?action=sign_out").await["items"], json!([]));
    let wrong = admin
        .get("/api/v1/admin/audit?action=nonsense")
        .send()
        .await;
    wrong.expect_problem(400, "bad_request");
}

#[tokio::test]
async fn every_response_has_the_request_id_of_its_audit_entry() {
    let herald = Herald::start().await;
    herald.user("alice").await;
    let login = herald.login("alice", PASSWORD).await.expect(200);
    let id = login.header("x-request-id").unwrap().to_owned();
    let admin = herald.admin().await;
    let audit = admin.get("/api/v1/admin/audit?actor=alice").send().await;
    assert_eq!(
        audit.expect(200).json["items"][0]["request_id"],
        id.as_str()
    );
    for path in ["/nothing", "/healthz", "/api/v1/messages"] {
        let answer = herald.get(path).send().await;
        let other = answer.header("x-request-id").unwrap();
        assert!(other.len() == 36 && other != id, "{path}");
    }
}
