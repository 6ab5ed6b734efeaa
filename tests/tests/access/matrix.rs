//! Everyone against every operation. An operation that is added without a row fails.

use herald_tests::{Answer, Herald, Http, password, until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::document::{Operation, operations};

/// How an operation is called so that it succeeds for who may: its path, its body, and the status then.
struct Row {
    path: String,
    body: Option<Value>,
    ok: u16,
}

fn row(path: impl Into<String>, body: impl Into<Option<Value>>, ok: u16) -> Row {
    Row {
        path: path.into(),
        body: body.into(),
        ok,
    }
}

/// The row of `operation`, with things of `caller`'s own made for it.
async fn target(world: &World, operation: &Operation, caller: &Http) -> Row {
    let fresh = world.fresh();
    let delay = json!({"mode": "fixed", "ms": 60_000});
    let rule = json!({"subject": "everyone", "action": "both", "effect": "allow", "filter": "x/#"});
    let own = operation.path.clone();
    match operation.id.as_str() {
        "login" => {
            let body = json!({"username": "alice", "password": password("alice")});
            row(own, body, 200)
        }
        "register" => {
            let body = json!({"username": fresh, "password": password(&fresh)});
            row(own, body, 201)
        }
        "getRegistration" => row(own, None, 200),
        "logout" => row(own, None, 204),
        "session" | "listSessions" | "listTokens" | "listMessages" | "listNotifications" => {
            row(own, None, 200)
        }
        "endSession" => row("/auth/sessions/none", None, 404),
        "changePassword" => {
            // Whoever calls has another one.
            let body = json!({"current": "not the password", "new": "another password"});
            row(own, body, 401)
        }
        "mqttAccess" => row(own, None, 200),
        "createToken" => row(own, json!({"name": "new", "scopes": ["api"]}), 201),
        "revokeToken" => {
            let (id, _) = caller.token_with_id(&["api"]).await;
            row(format!("/tokens/{id}"), None, 204)
        }
        "sendMessage" => row(own, json!({"body": "hello"}), 202),
        "getMessage" => {
            let id = caller.send_message("hello").await;
            row(format!("/messages/{id}"), None, 200)
        }
        "deleteMessage" => {
            let id = caller.send_message("hello").await;
            row(format!("/messages/{id}"), None, 204)
        }
        "acknowledge" => row(own, json!({"up_to": 0}), 200),
        "getDelay" | "getQueue" | "listAllMessages" | "listUsers" | "listRules" | "listAudit"
        | "listConnections" | "getQueueHistory" | "listUserDelays" => row(own, None, 200),
        "setDelay" => row(own, delay, 200),
        "getUserDelay" => row("/admin/users/alice/delay", None, 200),
        "setUserDelay" => row("/admin/users/alice/delay", delay, 200),
        "deleteUserDelay" => row("/admin/users/alice/delay", None, 204),
        "pauseQueue" | "resumeQueue" => row(own, None, 204),
        "retryDeadMessages" => row(own, json!({}), 200),
        // What they do to real ones is tested elsewhere.
        "retryMessage" => row("/admin/messages/none/retry", None, 404),
        "endConnection" | "deleteConnection" | "kickConnection" => {
            row("/admin/connections/none", None, 404)
        }
        "createUser" => {
            let body = json!({"username": fresh, "password": password(&fresh)});
            row(own, body, 201)
        }
        "getUser" => row("/admin/users/alice", None, 200),
        "changeUser" => row("/admin/users/alice", json!({"role": "user"}), 200),
        "deleteUser" => {
            world.admin.create_user(&fresh, "user").await;
            row(format!("/admin/users/{fresh}"), None, 204)
        }
        "createRule" => row(own, rule, 201),
        "getRule" => row("/admin/acl/rules/builtin-inbox", None, 200),
        "replaceRule" => {
            let id = world.admin.allow("everyone", "both", "y/#").await;
            row(format!("/admin/acl/rules/{id}"), rule, 200)
        }
        "deleteRule" => {
            let id = world.admin.allow("everyone", "both", "y/#").await;
            row(format!("/admin/acl/rules/{id}"), None, 204)
        }
        "checkAccess" => {
            let body = json!({"username": "alice", "action": "publish", "topic": "x"});
            row(own, body, 200)
        }
        unknown => panic!("{unknown} needs a row here: who may do it, and how does it succeed?"),
    }
}

/// Everyone there is.
struct World {
    herald: Herald,
    admin: Http,
    alice: Http,
    names: std::sync::atomic::AtomicU32,
}

/// Somebody who calls, and what comes of it.
struct Who {
    name: &'static str,
    http: Http,
    /// The status and the code of the refusal of an operation for users, and of one for administrators; `None`: none.
    user: Option<(u16, &'static str)>,
    admin: Option<(u16, &'static str)>,
}

const STRANGER: Option<(u16, &str)> = Some((401, "unauthenticated"));
const NO_ADMIN: Option<(u16, &str)> = Some((403, "forbidden"));

impl World {
    async fn new() -> Self {
        // Queued messages stay so, and anybody may register.
        let herald = Herald::start_with(&[("HERALD_AUTH__REGISTRATION", "open")]).await;
        let admin = herald.http("admin").await;
        admin
            .set_delay(json!({"mode": "fixed", "ms": 600_000}))
            .await;
        for name in ["alice", "bob", "carol", "dave"] {
            admin.create_user(name, "user").await;
        }
        let alice = herald.http("alice").await;
        Self {
            admin,
            alice,
            names: 0.into(),
            herald,
        }
    }

    /// A name that nobody has.
    fn fresh(&self) -> String {
        let n = self
            .names
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        format!("fresh{n}")
    }

    /// Those who are refused everything but what is public.
    async fn strangers(&self) -> Vec<Who> {
        let herald = &self.herald;
        let who = |name, http| Who {
            name,
            http,
            user: STRANGER,
            admin: STRANGER,
        };
        let bearer = |token: &str| Http::bearer(herald, token);

        let carol = herald.http("carol").await;
        let of_carol = carol.token(&["api", "mqtt"]).await;
        let disabled = json!({"disabled": true});
        let disable = self.admin.patch("/admin/users/carol", &disabled).await;
        disable.expect(200);

        let dave = herald.http("dave").await;
        let of_dave = dave.token(&["api"]).await;
        let delete = self.admin.delete("/admin/users/dave").await;
        delete.expect(204);

        let (id, revoked) = self.admin.token_with_id(&["api"]).await;
        let revoke = self.admin.delete(&format!("/tokens/{id}")).await;
        revoke.expect(204);

        let short = json!({"name": "short", "scopes": ["api"], "expires_in_s": 1});
        let short = self.admin.post("/tokens", &short).await.expect(201);
        let expired = bearer(short["token"].as_str().unwrap());
        until("a token to expire", async || {
            let session = expired.get("/auth/session").await;
            (session.status == 401).then_some(())
        })
        .await;

        let signed_out = herald.http("admin").await;
        signed_out
            .post("/auth/logout", &json!({}))
            .await
            .expect(204);
        vec![
            who("nobody", Http::anonymous(herald)),
            who("a browser of a disabled user", carol),
            who("a program of a disabled user", bearer(&of_carol)),
            who("a browser of a deleted user", dave),
            who("a program of a deleted user", bearer(&of_dave)),
            who("a program with a revoked token", bearer(&revoked)),
            who("a program with an expired token", expired),
            who(
                "a program with a token for MQTT alone",
                bearer(&self.admin.token(&["mqtt"]).await),
            ),
            who("a program with an invented token", bearer("hrld_invented")),
            who("a browser that has signed out", signed_out),
        ]
    }

    /// Those who may do what is theirs.
    async fn users(&self) -> Vec<Who> {
        let user = |name, http| Who {
            name,
            http,
            user: None,
            admin: NO_ADMIN,
        };
        let admin = |name, http| Who {
            name,
            http,
            user: None,
            admin: None,
        };
        let herald = &self.herald;
        let of_alice = self.alice.token(&["api", "mqtt"]).await;
        let of_admin = self.admin.token(&["api", "mqtt"]).await;
        vec![
            user("a user's browser", herald.http("alice").await),
            user("a user's program", Http::bearer(herald, &of_alice)),
            user("another user's browser", herald.http("bob").await),
            admin("an administrator's browser", herald.http("admin").await),
            admin(
                "an administrator's program",
                Http::bearer(herald, &of_admin),
            ),
        ]
    }
}

async fn call(http: &Http, operation: &Operation, row: &Row) -> Answer {
    let request = http.api(operation.method.clone(), &row.path);
    let request = match &row.body {
        Some(body) => request.json(body),
        None => request,
    };
    http.send(request).await
}

fn check(answer: &Answer, what: &str, refusal: Option<(u16, &str)>, ok: u16) {
    match refusal {
        Some((status, code)) => {
            assert_eq!(answer.status, status, "{what}: {answer:?}");
            answer.expect_problem(status, code);
        }
        None => assert_eq!(answer.status, ok, "{what}: {answer:?}"),
    }
}

#[tokio::test]
async fn everyone_may_do_what_they_may_and_nothing_else() {
    let world = World::new().await;
    let operations = operations(&world.herald).await;
    let strangers = world.strangers().await;
    let users = world.users().await;
    for operation in &operations {
        for who in &strangers {
            // What they try to reach is there, and somebody else's.
            let row = target(&world, operation, &world.admin).await;
            let refusal = match (operation.secured, operation.is_admin()) {
                (false, _) => None,
                (true, false) => who.user,
                (true, true) => who.admin,
            };
            // An address makes only so many accounts a minute.
            if operation.id == "register" && who.name != "nobody" {
                continue;
            }
            // Who signs in is not a stranger any more.
            let http = match operation.id.as_str() {
                "login" => &Http::anonymous(&world.herald),
                _ => &who.http,
            };
            let answer = call(http, operation, &row).await;
            let what = format!("{} by {}", operation.id, who.name);
            check(&answer, &what, refusal, row.ok);
        }
        for who in &users {
            let refusal = if operation.is_admin() {
                who.admin
            } else {
                who.user
            };
            let http = match operation.id.as_str() {
                // The others are needed for longer.
                "logout" => world.herald.http("alice").await,
                // Each wrong password counts for the throttle: once for one user is enough.
                "changePassword" if who.name != "another user's browser" => continue,
                "register" if who.name != "a user's browser" => continue,
                // A cookie that comes along is another session's, which ends.
                "login" => Http::anonymous(&world.herald),
                _ => who.http.clone(),
            };
            let row = target(&world, operation, &http).await;
            let answer = call(&http, operation, &row).await;
            let what = format!("{} by {}", operation.id, who.name);
            check(&answer, &what, refusal, row.ok);
        }
    }
}

#[tokio::test]
async fn a_page_of_somebody_else_changes_nothing_with_a_users_cookie() {
    let world = World::new().await;
    let operations = operations(&world.herald).await;
    let admin = &world.admin;
    for operation in operations.iter().filter(|o| o.method != Method::GET) {
        let row = target(&world, operation, admin).await;
        let body = row.body.clone().unwrap_or(json!({}));
        let what = format!("{} {}", operation.method, operation.path);
        // Without the token that only the own page knows.
        if operation.secured {
            let cookie = admin.without_csrf();
            let request = cookie.api(operation.method.clone(), &row.path);
            let answer = cookie.send(request.json(&body)).await;
            check(&answer, &what, Some((403, "csrf")), row.ok);
        }
        for (header, page) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("referer", "https://evil.example/page"),
        ] {
            let request = admin.api(operation.method.clone(), &row.path);
            let request = request.header(header, page).json(&body);
            let answer = admin.send(request).await;
            check(&answer, &what, Some((403, "origin_not_allowed")), row.ok);
        }
    }
    let session = admin.get("/auth/session").await;
    session.expect(200);
}
