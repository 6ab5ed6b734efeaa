//! A user tries to read and to change what is another user's, by its id.

use herald_tests::{Herald, Http};
use reqwest::Method;
use serde_json::{Value, json};

use crate::document::operations;

/// What alice has.
struct Things {
    message: String,
    token: String,
    session: String,
}

impl Things {
    async fn of(alice: &Http) -> Self {
        let sessions = alice.get("/auth/sessions").await.expect(200);
        Self {
            message: alice.send_message("alice's secret").await,
            token: alice.token_with_id(&["api"]).await.0,
            session: sessions["items"][0]["id"].as_str().unwrap().to_owned(),
        }
    }

    /// The thing that a path is about.
    fn id(&self, path: &str) -> &str {
        match path {
            "/messages/{id}" => &self.message,
            "/tokens/{id}" => &self.token,
            "/auth/sessions/{id}" => &self.session,
            _ => panic!("{path}: what is it about? Make one for alice here."),
        }
    }
}

/// A server on which nothing is processed for long.
async fn slow_server() -> Herald {
    let herald = Herald::with_users(&["alice", "bob"]).await;
    let admin = herald.http("admin").await;
    let slow = json!({"mode": "fixed", "ms": 600_000});
    admin.set_delay(slow).await;
    herald
}

/// Everything that `http` sees of its user.
async fn everything(http: &Http) -> Vec<Value> {
    let mut all = vec![];
    for path in ["/messages", "/tokens", "/notifications"] {
        all.push(http.get(path).await.expect(200));
    }
    all
}

#[tokio::test]
async fn no_id_opens_what_is_another_users() {
    let herald = slow_server().await;
    let (alice, bob) = (herald.http("alice").await, herald.http("bob").await);
    let of_bob = Http::bearer(&herald, &bob.token(&["api", "mqtt"]).await);
    // Administrators see everyone's messages, below /admin alone.
    let admin = herald.http("admin").await;
    let things = Things::of(&alice).await;
    let before = everything(&alice).await;
    let about_one = operations(&herald).await.into_iter().filter(|operation| {
        operation.secured && !operation.is_admin() && operation.path.contains('{')
    });
    let mut tried = 0;
    for operation in about_one {
        let id = things.id(&operation.path);
        let path = operation.path.replace("{id}", id);
        let none = operation.path.replace("{id}", "none");
        for http in [&bob, &of_bob, &admin] {
            let call = async |path: &str| {
                let request = http.api(operation.method.clone(), path);
                http.send(request).await
            };
            let (foreign, nothing) = (call(&path).await, call(&none).await);
            foreign.expect_problem(404, "not_found");
            // Not even that it exists can be told.
            assert_eq!(foreign.text, nothing.text, "{operation:?}");
            tried += 1;
        }
    }
    assert!(tried >= 4 * 3, "{tried}");
    assert_eq!(everything(&alice).await, before);

    // Nor one that has ended, which its owner may delete.
    let path = format!("/messages/{}", things.message);
    alice.delete(&path).await.expect(204);
    let before = everything(&alice).await;
    for http in [&bob, &of_bob, &admin] {
        for query in ["", "?status=cancelled"] {
            let foreign = http.delete(&format!("{path}{query}")).await;
            foreign.expect_problem(404, "not_found");
        }
    }
    assert_eq!(everything(&alice).await, before);
    alice.get("/auth/session").await.expect(200);
}

#[tokio::test]
async fn no_list_and_no_page_token_shows_what_is_another_users() {
    let herald = slow_server().await;
    let (alice, bob) = (herald.http("alice").await, herald.http("bob").await);
    let things = Things::of(&alice).await;
    let newest = "ffffffff-ffff-ffff-ffff-ffffffffffff";
    for (path, id) in [
        ("/messages", &things.message),
        ("/tokens", &things.token),
        ("/auth/sessions", &things.session),
    ] {
        for before in [newest, id] {
            let listed = bob.get(&format!("{path}?limit=200&before={before}")).await;
            let listed = listed.expect(200).to_string();
            for foreign in [&things.message, &things.token, &things.session] {
                assert!(!listed.contains(foreign.as_str()), "{path}: {listed}");
            }
        }
    }
}

#[tokio::test]
async fn another_users_idempotency_key_is_another_key() {
    let herald = slow_server().await;
    let (alice, bob) = (herald.http("alice").await, herald.http("bob").await);
    let send = async |http: &Http, body: &str| {
        let request = http.api(Method::POST, "/messages");
        let request = request.header("idempotency-key", "same");
        let sent = http.send(request.json(&json!({"body": body}))).await;
        sent.expect(202)["id"].as_str().unwrap().to_owned()
    };
    let of_alice = send(&alice, "alice's").await;
    let of_bob = send(&bob, "bob's").await;
    assert_ne!(of_alice, of_bob);
    assert_eq!(bob.message(&of_bob).await["body"], "bob's");
    assert_eq!(alice.message(&of_alice).await["body"], "alice's");
}

#[tokio::test]
async fn an_inbox_is_read_and_acknowledged_by_its_owner_alone() {
    let herald = Herald::with_users(&["alice", "bob"]).await;
    let (alice, bob) = (herald.http("alice").await, herald.http("bob").await);
    let id = alice.send_message("for alice").await;
    alice.processed(&id).await;
    let all = bob.get("/notifications?after=0&limit=200").await;
    assert_eq!(all.expect(200)["items"], json!([]));
    let ack = json!({"up_to": 1});
    let acked = bob.post("/notifications/ack", &ack).await.expect(200);
    assert_eq!(acked["acked"], 0);
    assert_eq!(alice.message(&id).await["delivered_at"], Value::Null);
    let acked = alice.post("/notifications/ack", &ack).await.expect(200);
    assert_eq!(acked["acked"], 1);
}
