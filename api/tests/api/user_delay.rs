//! Delays of single users.

use poem::http::Method;
use serde_json::json;

use crate::client::Herald;

#[tokio::test]
async fn a_users_own_delay_is_set_shown_and_taken_away() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let alice = herald.browser("alice").await;
    let path = "/api/v1/admin/users/alice/delay";
    let send = async || {
        let call = alice.post("/api/v1/messages").json(json!({"body": "x"}));
        call.send().await.expect(202).json
    };
    let waiting = send().await;
    let seen = async || admin.get(path).send().await.expect(200).json;
    let of_all = json!({"mode": "fixed", "ms": 1000, "overridden": false});
    assert_eq!(seen().await, of_all);

    let own = json!({"mode": "uniform", "min_ms": 5000, "max_ms": 6000});
    let call = admin.call(Method::PUT, path).json(own);
    let expected = json!({"mode": "uniform", "min_ms": 5000, "max_ms": 6000, "overridden": true});
    assert_eq!(call.send().await.expect(200).json, expected);
    assert_eq!(seen().await, expected);
    let sent = send().await;
    assert!(sent["run_at"].as_str() > waiting["run_at"].as_str());

    let now = json!({"mode": "fixed", "ms": 0, "apply_to_queued": true});
    let call = admin.call(Method::PUT, path).json(now);
    call.send().await.expect(200);
    let id = waiting["id"].as_str().unwrap();
    let moved = alice.get(&format!("/api/v1/messages/{id}")).send().await;
    assert_eq!(moved.expect(200).json["run_at"], waiting["created_at"]);

    let removed = admin.call(Method::DELETE, path).send().await;
    removed.expect(204);
    assert_eq!(seen().await, of_all);
    let path = format!("{path}?apply_to_queued=true");
    admin.call(Method::DELETE, &path).send().await.expect(204);
    let moved = alice.get(&format!("/api/v1/messages/{id}")).send().await;
    assert_eq!(moved.expect(200).json["run_at"], waiting["run_at"]);
}

#[tokio::test]
async fn a_delay_of_nobody_or_that_cannot_be_is_refused() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let delay = || json!({"mode": "fixed", "ms": 1});
    for path in [
        "/api/v1/admin/users/nobody/delay",
        "/api/v1/admin/users/No%20name/delay",
    ] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let call = admin.call(method, path).json(delay());
            call.send().await.expect_problem(404, "not_found");
        }
    }
    let path = "/api/v1/admin/users/root/delay";
    let call = admin.call(Method::PUT, path);
    let bad = json!({"mode": "fixed", "ms": 2_592_000_001_u64});
    call.json(bad).send().await.expect_problem(422, "invalid");
}

#[tokio::test]
async fn users_with_a_delay_of_their_own_are_listed_page_by_page() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    for name in ["alice", "bob", "carol", "dora"] {
        herald.user(name).await;
    }
    let path = |name| format!("/api/v1/admin/users/{name}/delay");
    let fixed = json!({"mode": "fixed", "ms": 5});
    let random = json!({"mode": "uniform", "min_ms": 1, "max_ms": 2});
    for (name, delay) in [("dora", &fixed), ("alice", &random), ("carol", &fixed)] {
        let call = admin.call(Method::PUT, &path(name)).json(delay.clone());
        call.send().await.expect(200);
    }
    let list = async |query: &str| {
        let path = format!("/api/v1/admin/delay/users{query}");
        admin.get(&path).send().await.expect(200).json
    };
    let of = |name, delay| json!({"username": name, "delay": delay});
    let first = list("?limit=2").await;
    assert_eq!(
        first["items"],
        json!([of("alice", &random), of("carol", &fixed)])
    );
    let next = first["next"].as_str().unwrap();
    let last = list(&format!("?limit=2&after={next}")).await;
    assert_eq!(last, json!({"items": [of("dora", &fixed)], "next": null}));
    admin
        .call(Method::DELETE, &path("carol"))
        .send()
        .await
        .expect(204);
    let names = list("").await;
    assert_eq!(
        names["items"],
        json!([of("alice", &random), of("dora", &fixed)])
    );
}
