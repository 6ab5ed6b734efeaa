//! Rights that are taken away on one server end on the other before whoever took them away is answered.

use std::{fs, sync::Arc};

use herald_test_databases::{CuttingProxy, DatabaseKind, TestDatabase};
use herald_tests::{
    Answer, Herald, Http, Version,
    notified::{inbox, messages},
    password,
    raw::{Connect, Raw},
    until,
};
use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use sqlx::{AnyConnection, Connection as _, Executor as _};

use crate::{database, listed, other, ready};

const NEW: &str = "another horse battery";
const NOT_AUTHORIZED: Option<u8> = Some(0x87);
const CUT_OFF: Option<u8> = Some(0x89);

/// What is in the log of a server that does not know whether rights have ended.
const OUTDATED: &str = "changes of rights cannot be read";

/// Two servers on one database, with alice.
struct Two {
    first: Herald,
    second: Herald,
    admin: Http,
    alice: Http,
}

impl Two {
    /// The second reaches the database at `url`.
    async fn start(database: &Arc<TestDatabase>, url: &str) -> Self {
        let first = other(database).await;
        let settings = [("HERALD_DATABASE__URL", url)];
        let mut second = Herald::stopped_on_database(database, &settings);
        second.begin().await;
        let admin = first.http("admin").await;
        admin.create_user("alice", "user").await;
        let alice = first.http("alice").await;
        Self {
            first,
            second,
            admin,
            alice,
        }
    }

    /// A session on the second server, which rests on `password`.
    async fn session(&self, password: &str) -> Raw {
        let connect = Connect::of("alice").password(password);
        Raw::connect_as(&self.second, Version::V5, &connect).await
    }
}

/// Stops the process, and waits until it is: each of its threads has to be told.
async fn stop(herald: &Herald) {
    herald.signal("STOP");
    let tasks = format!("/proc/{}/task", herald.run().pid);
    until("the process to be stopped", async || {
        let mut threads = fs::read_dir(&tasks).unwrap();
        let is_stopped = threads.all(|thread| {
            let status = fs::read_to_string(thread.unwrap().path().join("status"));
            status.is_ok_and(|status| status.contains("State:\tT"))
        });
        is_stopped.then_some(())
    })
    .await;
}

fn in_force(answer: &Answer) -> &str {
    answer.headers["x-rights-in-force"].to_str().unwrap()
}

/// The session has ended by now: what its client sends is not taken any more.
async fn has_ended(mut session: Raw) {
    let late = json!({"body": "late"}).to_string();
    session.publish_in_vain(&messages("alice"), &late).await;
    assert_eq!(session.ended().await, NOT_AUTHORIZED);
}

#[rstest]
#[tokio::test]
async fn a_right_that_is_taken_away_has_ended_on_the_other_server_when_that_is_answered(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let two = Two::start(&database, database.url()).await;
    let own = password("alice");
    let done = |answer: Answer, status: u16| {
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(in_force(&answer), "everywhere");
    };

    let (id, token) = two.alice.token_with_id(&["mqtt"]).await;
    let session = two.session(&token).await;
    done(two.alice.delete(&format!("/tokens/{id}")).await, 204);
    has_ended(session).await;

    // What an app in a browser has ends with its session.
    let browser = two.first.http("alice").await;
    let access = browser.post("/auth/mqtt", &json!({})).await.expect(200);
    let session = two.session(access["token"].as_str().unwrap()).await;
    done(browser.post("/auth/logout", &json!({})).await, 204);
    has_ended(session).await;

    let browser = two.first.http("alice").await;
    let access = browser.post("/auth/mqtt", &json!({})).await.expect(200);
    let session = two.session(access["token"].as_str().unwrap()).await;
    let sessions = two.alice.get("/auth/sessions").await.expect(200);
    let newest = sessions["items"][0]["id"].as_str().unwrap();
    let path = format!("/auth/sessions/{newest}");
    done(two.alice.delete(&path).await, 204);
    has_ended(session).await;

    let session = two.session(&own).await;
    let change = json!({"current": own, "new": NEW});
    done(two.alice.put("/auth/password", &change).await, 204);
    has_ended(session).await;

    let change_user = async |change| two.admin.patch("/admin/users/alice", &change).await;
    let session = two.session(NEW).await;
    done(change_user(json!({"password": own})).await, 200);
    has_ended(session).await;

    for change in [json!({"role": "admin"}), json!({"disabled": true})] {
        let session = two.session(&own).await;
        done(change_user(change).await, 200);
        has_ended(session).await;
    }
    done(change_user(json!({"role": "user"})).await, 200);
    done(change_user(json!({"disabled": false})).await, 200);

    let session = two.session(&own).await;
    done(two.admin.delete("/admin/users/alice").await, 204);
    has_ended(session).await;
}

/// Signs alice in on `herald`, beside `cookie`; what a browser keeps of it.
async fn login(herald: &Herald, cookie: &str) -> String {
    let http = Http::anonymous(herald);
    let login = json!({"username": "alice", "password": password("alice")});
    let request = http.api(Method::POST, "/auth/login").json(&login);
    let answer = http.send(request.header("cookie", cookie)).await;
    answer.expect(200);
    answer.cookies()
}

/// Requests, too: the other server knows who asks without a read of its own.
#[rstest]
#[tokio::test]
async fn what_ended_on_one_server_is_refused_by_the_other_from_the_answer_on(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let two = Two::start(&database, database.url()).await;
    let http = Http::anonymous(&two.second);
    let asks = async |name: &str, value: &str, status: u16| {
        let request = http.api(Method::GET, "/auth/session").header(name, value);
        let answer = http.send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    };
    let (id, token) = two.alice.token_with_id(&["api"]).await;
    let token = format!("Bearer {token}");
    asks("authorization", &token, 200).await;
    let revoked = two.alice.delete(&format!("/tokens/{id}")).await;
    assert_eq!(in_force(&revoked), "everywhere");
    asks("authorization", &token, 401).await;

    let cookie = login(&two.first, "").await;
    asks("cookie", &cookie, 200).await;
    let sessions = two.alice.get("/auth/sessions").await.expect(200);
    let newest = sessions["items"][0]["id"].as_str().unwrap();
    let ended = two.alice.delete(&format!("/auth/sessions/{newest}")).await;
    assert_eq!(in_force(&ended), "everywhere");
    asks("cookie", &cookie, 401).await;

    // Who signs in again leaves nothing behind.
    let mut cookie = login(&two.first, "").await;
    for _ in 0..5 {
        asks("cookie", &cookie, 200).await;
        let new = login(&two.first, &cookie).await;
        asks("cookie", &cookie, 401).await;
        cookie = new;
    }
}

#[rstest]
#[tokio::test]
async fn a_rule_is_in_force_on_the_other_server_when_it_is_answered(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    const RULES: &str = "/admin/acl/rules";
    let Some(database) = database(kind).await else {
        return;
    };
    let two = Two::start(&database, database.url()).await;
    let mut session = two.session(&password("alice")).await;
    let rule = |effect: &str, filter: &str| json!({"subject": "user:alice", "action": "both", "effect": effect, "filter": filter});
    let made = two.admin.post(RULES, &rule("allow", "lamps/#")).await;
    assert_eq!(in_force(&made), "everywhere");
    let made = made.expect(201);
    assert_eq!(session.subscribe("lamps/1").await, 1);
    assert_eq!(session.publish("lamps/2", "on").await & 0x80, 0);

    let path = format!("{RULES}/{}", made["id"].as_str().unwrap());
    let replaced = two.admin.put(&path, &rule("allow", "doors/#")).await;
    assert_eq!(in_force(&replaced), "everywhere");
    replaced.expect(200);
    // It is left without a subscription.
    session.publish_in_vain("lamps/2", "late").await;
    assert_eq!(session.ended_at_last().await, NOT_AUTHORIZED);

    let mut session = two.session(&password("alice")).await;
    assert_eq!(session.publish("lamps/2", "late").await, 0x87);
    assert_eq!(session.publish("doors/2", "open").await & 0x80, 0);
    let deleted = two.admin.delete(&path).await;
    assert_eq!(in_force(&deleted), "everywhere");
    deleted.expect(204);
    assert_eq!(session.publish("doors/2", "late").await, 0x87);
}

#[rstest]
#[tokio::test]
async fn the_command_line_waits_for_all_servers(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let two = Two::start(&database, database.url()).await;
    let (id, token) = two.alice.token_with_id(&["mqtt"]).await;
    let session = two.session(&token).await;
    let said = two.first.cli(&["token", "revoke", &id]).succeed().await;
    assert!(said.ends_with("\nin force on all servers\n"), "{said}");
    has_ended(session).await;

    let session = two.session(&password("alice")).await;
    let reset = two.first.cli(&["admin", "reset-password", "alice"]);
    let said = reset.input(&format!("{NEW}\n")).succeed().await;
    assert!(said.ends_with("\nin force on all servers\n"), "{said}");
    has_ended(session).await;
}

#[rstest]
#[tokio::test]
async fn a_server_that_is_stopped_is_given_up_and_has_nothing_left_when_it_wakes(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let two = Two::start(&database, database.url()).await;
    let sleeper = listed(&two.second).await.pop().unwrap();
    let own = password("alice");
    let mut session = two.session(&own).await;
    assert_eq!(session.subscribe(&inbox("alice")).await, 1);
    stop(&two.second).await;
    let late = json!({"body": "late"}).to_string();
    session.publish_only(&messages("alice"), &late).await;
    let change = json!({"password": NEW});
    let changed = two.admin.patch("/admin/users/alice", &change).await;
    assert_eq!(in_force(&changed), "given-up");
    changed.expect(200);
    let log = two.first.logged("changed rights were waited for", 1).await;
    assert!(log.contains(&sleeper), "{log}");
    // Something for the inbox that it must not hand out.
    let alice = Http::sign_in(&two.first, "alice", NEW).await;
    let id = alice.send_message("hello").await;
    alice.processed(&id).await;
    two.second.signal("CONT");
    // Whatever it learns first ends all.
    let ended = session.ended().await;
    assert!([CUT_OFF, NOT_AUTHORIZED].contains(&ended), "{ended:?}");
    let connect = Connect::of("alice").password(&own);
    until("the other to be back", async || {
        (ready(&two.second).await.status == 200).then_some(())
    })
    .await;
    let code = Raw::connect_code(&two.second, Version::V5, &connect).await;
    assert_eq!(code, 0x87);
    let all = alice.get("/messages").await.expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");
}

#[rstest]
#[tokio::test]
async fn a_server_that_cannot_read_rights_lets_what_is_shared_wait_and_then_ends_all(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let proxy = CuttingProxy::start(kind, database.url()).await;
    let two = Two::start(&database, proxy.url()).await;
    two.admin.allow("everyone", "both", "lamps/#").await;
    let listener = Connect::of("alice").client_id("listener");
    let mut listener = Raw::connect_as(&two.second, Version::V5, &listener).await;
    assert_eq!(listener.subscribe("lamps/#").await, 1);
    let mut publishers = vec![];
    for version in Version::BOTH {
        let connect = Connect::of("alice").client_id(&format!("publisher {version:?}"));
        publishers.push(Raw::connect_as(&two.second, version, &connect).await);
    }
    publishers[0].publish_only("lamps/1", "before").await;
    assert_eq!(listener.take().await.payload, "before");
    publishers[0].expect_puback().await;

    // A machine with too much to do is late at times.
    let before = two.second.stderr().matches(OUTDATED).count();
    proxy.hold();
    two.second.logged(OUTDATED, before + 1).await;
    for publisher in &mut publishers {
        publisher.publish_only("lamps/1", "late").await;
    }
    // It has ended all by itself when whoever takes the right away is answered.
    let deny = json!({
        "subject": "everyone", "action": "publish", "effect": "deny", "filter": "lamps/1",
    });
    let denied = two.admin.post("/admin/acl/rules", &deny).await;
    assert_eq!(in_force(&denied), "given-up");
    denied.expect(201);
    assert_eq!(listener.ended().await, CUT_OFF);
    for (publisher, version) in publishers.iter_mut().zip(Version::BOTH) {
        let told = CUT_OFF.filter(|_| version == Version::V5);
        assert_eq!(publisher.ended().await, told, "{version:?}");
    }
    proxy.release();
    until("the other to be back", async || {
        (ready(&two.second).await.status == 200).then_some(())
    })
    .await;
    let mut publisher = two.session(&password("alice")).await;
    assert_eq!(publisher.publish("lamps/1", "late").await, 0x87);
    assert_eq!(publisher.publish("lamps/2", "again").await & 0x80, 0);
    let log = two
        .second
        .logged("other servers can be told again", 1)
        .await;
    assert!(log.contains("other servers cannot be told"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[rstest]
#[tokio::test]
async fn who_is_not_sure_that_a_right_has_ended_says_so(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let two = Two::start(&database, database.url()).await;
    sqlx::any::install_default_drivers();
    let mut beside = AnyConnection::connect(database.url()).await.unwrap();
    let broken = "UPDATE acl_rules SET filter = 'a/%x' WHERE id = 'builtin-debug'";
    beside.execute(broken).await.unwrap();
    // No server can put the rules in force, and each keeps those that it has.
    let rule = json!({"subject": "everyone", "action": "both", "effect": "deny", "filter": "x/#"});
    let made = two.admin.post("/admin/acl/rules", &rule).await;
    assert_eq!(in_force(&made), "unknown");
    made.expect(201);
}
