use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::Username;
use herald_api::{LiveConnection, LiveConnections, Protocol, Transport};
use herald_store::{Seq, StoreError, Timestamp, UserId};
use parking_lot::Mutex;
use poem::http::Method;
use serde_json::{Value, json};

use crate::client::Herald;

const CONNECTIONS: &str = "/api/v1/admin/connections";

/// Sessions with the ids `0` to `9`, until they are ended.
struct Sessions(Mutex<Vec<LiveConnection>>);

impl Sessions {
    /// As many of Alice's as of Bob's.
    fn some(count: usize) -> Arc<Self> {
        let session = |i: usize| LiveConnection {
            id: i.to_string(),
            username: Username::parse(["alice", "bob"][i % 2]).unwrap(),
            client_id: format!("client {i}").into(),
            token: None,
            peer: Some(([127, 0, 0, 1], 4711).into()),
            transport: Transport::Tls,
            protocol: Protocol::V5,
            connected_at: Timestamp::from_millis(0),
            keep_alive_s: 60,
            subscriptions: Some(2),
            in_flight: Some(3),
            node: None,
        };
        Arc::new(Self(Mutex::new((0..count).map(session).collect())))
    }
}

impl LiveConnections for Sessions {
    fn list<'a>(
        &'a self,
        user: Option<&'a Username>,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Option<Vec<LiveConnection>>, StoreError>> {
        if after.is_some_and(|id| id.parse::<u8>().is_err()) {
            return async { Ok(None) }.boxed();
        }
        let all = self.0.lock();
        let asked = all
            .iter()
            .filter(|s| user.is_none_or(|name| *name == s.username))
            .filter(|s| after.is_none_or(|after| *s.id > *after));
        let asked = asked.take(limit).cloned().collect();
        async { Ok(Some(asked)) }.boxed()
    }

    fn kick<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<LiveConnection>, StoreError>> {
        let mut all = self.0.lock();
        let at = all.iter().position(|s| s.id == id);
        let ended = at.map(|at| all.remove(at));
        async { Ok(ended) }.boxed()
    }

    fn skip<'a>(
        &'a self,
        _: &'a UserId,
        username: &'a Username,
        client_id: &'a Arc<str>,
        _: Seq,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let all = self.0.lock();
        let mut own = all.iter().filter(|s| s.username == *username);
        let is_there = own.any(|s| *s.client_id == **client_id);
        async move { Ok(is_there) }.boxed()
    }
}

async fn herald(sessions: &Arc<Sessions>) -> Herald {
    let connections = sessions.clone();
    Herald::start_with(|options| options.connections = connections).await
}

fn ids(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|s| s["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_session_is_shown_with_all_that_is_known_of_it() {
    let sessions = Sessions::some(2);
    {
        let bob = &mut sessions.0.lock()[1];
        bob.token = Some("t1".into());
        bob.peer = None;
        (bob.transport, bob.protocol) = (Transport::WebSocket, Protocol::V311);
        (bob.subscriptions, bob.in_flight) = (None, None);
        bob.node = Some("green".into());
    }
    let herald = herald(&sessions).await;
    let admin = herald.admin().await;
    let page = admin.get(CONNECTIONS).send().await.expect(200).json;
    assert_eq!(
        page,
        json!({"next": null, "items": [
            {
                "id": "0", "username": "alice", "client_id": "client 0", "connected": true,
                "address": "127.0.0.1:4711", "transport": "tls", "protocol": "5",
                "connected_at": "1970-01-01T00:00:00.000Z", "keep_alive_s": 60,
                "credential": "password", "token_id": null, "subscriptions": 2, "in_flight": 3,
            },
            {
                "id": "1", "username": "bob", "client_id": "client 1", "connected": false,
                "address": null, "transport": "websocket", "protocol": "3.1.1",
                "connected_at": "1970-01-01T00:00:00.000Z", "keep_alive_s": 60,
                "credential": "token", "token_id": "t1", "subscriptions": null, "in_flight": null,
                "node": "green",
            },
        ]})
    );
}

#[tokio::test]
async fn sessions_are_listed_page_by_page_and_by_user() {
    let herald = herald(&Sessions::some(7)).await;
    let admin = herald.admin().await;
    for (query, expected) in [
        ("limit=3", vec!["0", "1", "2", "3", "4", "5", "6"]),
        ("limit=3&user=bob", vec!["1", "3", "5"]),
        ("limit=2&user=bob", vec!["1", "3", "5"]),
        ("limit=1&user=nobody", vec![]),
    ] {
        let mut seen: Vec<String> = vec![];
        let mut path = format!("{CONNECTIONS}?{query}");
        loop {
            let page = admin.get(&path).send().await.expect(200).json;
            seen.extend(ids(&page).into_iter().map(str::to_owned));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            path = format!("{CONNECTIONS}?{query}&after={next}");
        }
        assert_eq!(seen, expected, "{query}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let herald = herald(&Sessions::some(1)).await;
    let admin = herald.admin().await;
    for query in ["after=x", "user=Alice", "user=-"] {
        let answer = admin.get(&format!("{CONNECTIONS}?{query}")).send().await;
        answer.expect_problem(422, "invalid");
    }
    for query in [
        "after=",
        "user=",
        "user=%00",
        "limit=0",
        "limit=201",
        "limit=x",
    ] {
        let answer = admin.get(&format!("{CONNECTIONS}?{query}")).send().await;
        answer.expect_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn a_session_is_ended_once() {
    let sessions = Sessions::some(3);
    let herald = herald(&sessions).await;
    let admin = herald.admin().await;
    let end = |id: &str| admin.call(Method::DELETE, &format!("{CONNECTIONS}/{id}"));
    end("1").send().await.expect(204);
    let page = admin.get(CONNECTIONS).send().await.expect(200).json;
    assert_eq!(ids(&page), ["0", "2"]);
    for id in ["1", "9", "x", "%00", "a%20b"] {
        end(id).send().await.expect_problem(404, "not_found");
    }
}

/// Nothing is stored of a session that is not kept.
#[tokio::test]
async fn notifications_are_skipped_for_a_live_session_of_ones_own() {
    let herald = herald(&Sessions::some(2)).await;
    let (alice, bob) = (herald.browser("alice").await, herald.browser("bob").await);
    let admin = herald.admin().await;
    for (user, client_id, status) in [
        (&alice, "client 0", 200),
        (&bob, "client 1", 200),
        (&alice, "client 1", 404),
        (&bob, "client 0", 404),
        (&admin, "client 0", 404),
    ] {
        let ack = json!({"up_to": 17, "client_id": client_id});
        let answer = user
            .post("/api/v1/notifications/ack")
            .json(ack)
            .send()
            .await;
        if status == 404 {
            answer.expect_problem(404, "not_found");
        } else {
            assert_eq!(answer.expect(200).json["acked"], 0, "nothing is there");
        }
    }
}

#[tokio::test]
async fn only_administrators_see_and_end_sessions() {
    let sessions = Sessions::some(2);
    let herald = herald(&sessions).await;
    let alice = herald.browser("alice").await;
    let one = format!("{CONNECTIONS}/0");
    let own = format!("{CONNECTIONS}?user=alice");
    for (method, path) in [
        (Method::GET, CONNECTIONS),
        (Method::GET, &own),
        (Method::DELETE, &one),
    ] {
        let answer = alice.call(method.clone(), path).send().await;
        answer.expect_problem(403, "forbidden");
        let answer = herald.call(method, path).send().await;
        answer.expect_problem(401, "unauthenticated");
    }
    let admin = herald.admin().await;
    let without_csrf = herald
        .call(Method::DELETE, &one)
        .header("cookie", &admin.cookie);
    without_csrf.send().await.expect_problem(403, "csrf");
    assert_eq!(sessions.0.lock().len(), 2);
}
