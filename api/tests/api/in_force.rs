//! What takes a right away is answered once that is in force, and the answer says if it may not be.

use std::sync::Arc;

use futures_util::FutureExt as _;
use herald_acl::Role;
use herald_api::{ApiOptions, InForce};
use parking_lot::Mutex;
use poem::http::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::client::{Answer, Browser, Call, Herald, PASSWORD};

const HEADER: &str = "x-rights-in-force";

/// What is waited for, as a test has it: `None` until it has come to something.
#[derive(Clone, Default)]
struct Waits {
    reached: watch::Sender<Option<InForce>>,
    /// How often it was asked for.
    asked: Arc<Mutex<usize>>,
}

impl Waits {
    fn options(&self, options: &mut ApiOptions) {
        let wait = self.clone();
        let wait = move || {
            *wait.asked.lock() += 1;
            let mut reached = wait.reached.subscribe();
            async move {
                let reached = reached.wait_for(Option::is_some).await;
                reached.ok().and_then(|reached| *reached).unwrap()
            }
            .boxed()
        };
        let forget = wait.clone();
        options.await_rights = Arc::new(wait);
        options.forget_user = Arc::new(move |_| forget().map(Ok).boxed());
    }
}

/// Everything that can be asked for once the world is there that takes a right away.
const WITHDRAWALS: [&str; 9] = [
    "revoke a token",
    "end a session",
    "sign out",
    "change the own password",
    "change an account",
    "delete an account",
    "make a rule",
    "replace a rule",
    "delete a rule",
];

/// The request that withdraws, by an administrator.
async fn withdrawal<'a>(admin: &Browser<'a>, what: &str) -> (Call<'a>, u16) {
    let rule = json!({
        "subject": "everyone", "action": "publish", "effect": "deny", "filter": "lamps/#",
    });
    let made = async |path: &str, body: &Value| {
        let made = admin.post(path).json(body.clone()).send().await;
        let id = made.json["id"].as_str().expect(&made.text).to_owned();
        format!("{path}/{id}")
    };
    const RULES: &str = "/api/v1/admin/acl/rules";
    match what {
        "revoke a token" => {
            let token = json!({"name": "script", "scopes": ["mqtt"]});
            let path = made("/api/v1/tokens", &token).await;
            (admin.call(Method::DELETE, &path), 204)
        }
        "end a session" => {
            let listed = admin.get("/api/v1/auth/sessions").send().await.expect(200);
            let id = listed.json["items"][0]["id"].as_str().unwrap().to_owned();
            let path = format!("/api/v1/auth/sessions/{id}");
            (admin.call(Method::DELETE, &path), 204)
        }
        "sign out" => (admin.post("/api/v1/auth/logout"), 204),
        "change the own password" => {
            let change = json!({"current": PASSWORD, "new": "another horse battery"});
            let call = admin.call(Method::PUT, "/api/v1/auth/password");
            (call.json(change), 204)
        }
        "change an account" => {
            let call = admin.call(Method::PATCH, "/api/v1/admin/users/alice");
            (call.json(json!({"disabled": true})), 200)
        }
        "delete an account" => (admin.call(Method::DELETE, "/api/v1/admin/users/alice"), 204),
        "make a rule" => (admin.post(RULES).json(rule), 201),
        "replace a rule" => {
            let call = admin.call(Method::PUT, &format!("{RULES}/builtin-debug"));
            (call.json(rule), 200)
        }
        "delete a rule" => {
            let path = format!("{RULES}/builtin-debug");
            (admin.call(Method::DELETE, &path), 204)
        }
        other => panic!("{other}"),
    }
}

async fn start(waits: &Waits) -> Herald {
    let herald = Herald::start_with(|options| waits.options(options)).await;
    herald.user("alice").await;
    herald.account("ada", Role::Admin).await;
    // Somebody has to be left.
    herald.account("root", Role::Admin).await;
    herald
}

fn says(answer: &Answer) -> Option<&str> {
    answer.header(HEADER)
}

#[tokio::test]
async fn what_takes_a_right_away_is_answered_once_it_is_in_force() {
    for what in WITHDRAWALS {
        let waits = Waits::default();
        let herald = start(&waits).await;
        let admin = herald.sign_in("ada").await;
        waits.reached.send_replace(Some(InForce::Everywhere));
        let (call, status) = withdrawal(&admin, what).await;
        waits.reached.send_replace(None);
        let before = *waits.asked.lock();
        let mut answer = std::pin::pin!(call.send());
        let asked = async {
            while *waits.asked.lock() == before {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            answer = answer.as_mut() => panic!("{what} is answered early: {}", answer.text),
            () = asked => {}
        }
        assert!(answer.as_mut().now_or_never().is_none(), "{what}");
        waits.reached.send_replace(Some(InForce::Everywhere));
        let answer = answer.await.expect(status);
        assert_eq!(says(&answer), Some("everywhere"), "{what}");
    }
}

#[tokio::test]
async fn an_answer_says_that_a_server_was_given_up_or_does_not_say() {
    for (reached, said) in [
        (InForce::GivenUp, "given-up"),
        (InForce::Unknown, "unknown"),
    ] {
        for what in WITHDRAWALS {
            let waits = Waits::default();
            let herald = start(&waits).await;
            let admin = herald.sign_in("ada").await;
            waits.reached.send_replace(Some(reached));
            let (call, status) = withdrawal(&admin, what).await;
            let answer = call.send().await.expect(status);
            assert_eq!(says(&answer), Some(said), "{what}");
        }
    }
}

/// Nobody is kept waiting for what changes no right.
#[tokio::test]
async fn a_refusal_waits_for_nothing() {
    let waits = Waits::default();
    let herald = start(&waits).await;
    let admin = herald.sign_in("ada").await;
    for path in ["tokens/none", "auth/sessions/none", "admin/acl/rules/none"] {
        let call = admin.call(Method::DELETE, &format!("/api/v1/{path}"));
        let answer = call.send().await.expect_problem(404, "not_found");
        assert_eq!(says(&answer), None, "{path}");
    }
    assert_eq!(*waits.asked.lock(), 0);
}
