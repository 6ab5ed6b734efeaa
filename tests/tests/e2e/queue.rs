//! What users and administrators do with the queue.

use herald_tests::{
    Herald, Version,
    raw::{Packet, Raw},
    until, within,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::notified::{inbox, messages, notified, taken};

/// Messages wait until they are told to go.
async fn waiting(users: &[&str]) -> Herald {
    let herald = Herald::with_users(users).await;
    let admin = herald.http("admin").await;
    admin
        .set_delay(json!({"mode": "fixed", "ms": 600_000}))
        .await;
    herald
}

#[tokio::test]
async fn a_cancelled_message_is_never_heard_of() {
    let herald = waiting(&["alice"]).await;
    let alice = herald.http("alice").await;
    let mut raw = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(raw.subscribe(&inbox("alice")).await, 1);
    let taken_back = alice.send_message("taken back").await;
    alice.send_message("kept").await;
    let path = format!("/messages/{taken_back}?status=queued");
    alice.delete(&path).await.expect(204);
    alice.delete(&path).await.expect_problem(409, "not_queued");
    let now = json!({"mode": "fixed", "ms": 0, "apply_to_queued": true});
    herald.http("admin").await.set_delay(now).await;
    assert_eq!(taken(&mut raw, 1).await, [notified(1, "kept")]);
    let message = alice.message(&taken_back).await;
    assert_eq!(message["status"], "cancelled");
}

#[tokio::test]
async fn a_paused_queue_takes_sends_and_goes_on_when_it_is_resumed() {
    let mut herald = Herald::with_users(&["alice"]).await;
    let admin = herald.http("admin").await;
    admin
        .post("/admin/queue/pause", &Value::Null)
        .await
        .expect(204);
    let id = herald.http("alice").await.send_message("hello").await;
    // It stays so.
    herald.restart().await;
    let (admin, alice) = (herald.http("admin").await, herald.http("alice").await);
    let queue = until("the count", async || {
        let queue = admin.get("/admin/queue").await.expect(200);
        (queue["counts"]["queued"] == 1).then_some(queue)
    })
    .await;
    assert_eq!(queue["paused"], true, "{queue}");
    assert!(queue["oldest_due"].is_string(), "{queue}");
    assert_eq!(alice.message(&id).await["attempts"], 0);
    admin
        .post("/admin/queue/resume", &Value::Null)
        .await
        .expect(204);
    alice.processed(&id).await;
    let queue = until("the count", async || {
        let queue = admin.get("/admin/queue").await.expect(200);
        (queue["counts"]["processed"] == 1).then_some(queue)
    })
    .await;
    assert_eq!(queue["paused"], false, "{queue}");
    assert!(queue["processed_per_s"].as_f64() > Some(0.0), "{queue}");
    assert!(queue["latency"]["p50_ms"].is_u64(), "{queue}");
}

#[tokio::test]
async fn one_user_waits_longer_and_the_other_does_not() {
    let herald = Herald::with_users(&["alice", "bob"]).await;
    let admin = herald.http("admin").await;
    let delay = json!({"mode": "fixed", "ms": 600_000});
    let path = "/admin/users/alice/delay";
    admin.put(path, &delay).await.expect(200);
    let (alice, bob) = (herald.http("alice").await, herald.http("bob").await);
    let (waits, goes) = (alice.send_message("a").await, bob.send_message("b").await);
    bob.processed(&goes).await;
    assert_eq!(alice.message(&waits).await["status"], "queued");
    // What is for all is not for her.
    let now = json!({"mode": "fixed", "ms": 0, "apply_to_queued": true});
    admin.set_delay(now.clone()).await;
    assert_eq!(alice.message(&waits).await["status"], "queued");
    admin.put(path, &now).await.expect(200);
    alice.processed(&waits).await;
}

/// A server on which everyone may send so much a minute, and have so much waiting.
async fn limited(per_minute: &str, waiting: &str) -> Herald {
    let herald = Herald::start_with(&[
        ("HERALD_LIMITS__SENDS_PER_MINUTE", per_minute),
        ("HERALD_LIMITS__WAITING_MESSAGES", waiting),
    ])
    .await;
    let admin = herald.http("admin").await;
    for user in ["alice", "bob"] {
        admin.create_user(user, "user").await;
    }
    herald
}

fn payload(n: usize) -> String {
    json!({"body": n.to_string()}).to_string()
}

#[tokio::test]
async fn http_and_mqtt_share_what_a_minute_allows() {
    let herald = limited("3", "100").await;
    let (alice, bob) = (herald.http("alice").await, herald.http("bob").await);
    let mut v5 = Raw::connect(&herald, Version::V5, "alice").await;
    alice.send_message("0").await;
    for n in 1..3 {
        assert_eq!(v5.publish(&messages("alice"), &payload(n)).await, 0);
    }
    assert_eq!(v5.publish(&messages("alice"), &payload(3)).await, 0x97);
    let refused = alice.post("/messages", &json!({"body": "4"})).await;
    refused.expect_problem(429, "rate_limited");
    let wait: u64 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    bob.send_message("0").await;
    let sent = alice.get("/messages").await.expect(200);
    assert_eq!(sent["items"].as_array().unwrap().len(), 3, "{sent}");
}

#[tokio::test]
async fn a_client_of_3_1_1_is_held_back_until_it_may_send() {
    // One each 0.2 s, after the first 300.
    const COUNT: usize = 305;
    let herald = limited("300", "1000").await;
    let mut v311 = Raw::connect(&herald, Version::V311, "alice").await;
    for n in 0..COUNT {
        v311.publish_only(&messages("alice"), &payload(n)).await;
    }
    for _ in 0..COUNT {
        v311.expect_puback().await;
    }
    // Each that was acknowledged is there.
    let alice = herald.http("alice").await;
    let mut found = 0;
    let mut next = String::new();
    loop {
        let page = alice.get(&format!("/messages?limit=200{next}")).await;
        let page = page.expect(200);
        found += page["items"].as_array().unwrap().len();
        match page["next"].as_str() {
            Some(before) => next = format!("&before={before}"),
            None => break,
        }
    }
    assert_eq!(found, COUNT);
}

#[tokio::test]
async fn too_many_waiting_are_refused_and_never_acknowledged_and_lost() {
    let herald = limited("0", "2").await;
    let admin = herald.http("admin").await;
    admin
        .post("/admin/queue/pause", &Value::Null)
        .await
        .expect(204);
    let (alice, bob) = (herald.http("alice").await, herald.http("bob").await);
    alice.send_message("0").await;
    let mut v5 = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(v5.publish(&messages("alice"), &payload(1)).await, 0);
    assert_eq!(v5.publish(&messages("alice"), &payload(2)).await, 0x97);
    let refused = alice.post("/messages", &json!({"body": "3"})).await;
    refused.expect_problem(429, "too_many_waiting");
    bob.send_message("0").await;

    // One who waits longer than a client is held back is not acknowledged.
    let mut given_up = Raw::connect(&herald, Version::V311, "alice").await;
    given_up.publish_only(&messages("alice"), &payload(4)).await;
    assert_eq!(within("the end", given_up.packet()).await, None);
    // One who is held back until there is room is.
    let mut held = Raw::connect(&herald, Version::V311, "alice").await;
    let id = held.publish_only(&messages("alice"), &payload(5)).await;
    admin
        .post("/admin/queue/resume", &Value::Null)
        .await
        .expect(204);
    let answer = held.packet().await;
    assert!(matches!(answer, Some(Packet::Puback { id: of, .. }) if of == id));
    let sent = alice.get("/messages").await.expect(200);
    let bodies = sent["items"].as_array().unwrap().iter();
    let bodies: Vec<_> = bodies.map(|m| m["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["5", "1", "0"]);
}

/// The server's own database is changed from beside it; the server goes on with what is put back.
#[tokio::test]
async fn the_command_line_pauses_resumes_and_retries() {
    let service = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", service.local_addr().unwrap());
    let herald = Herald::start_with(&[
        ("HERALD_WORKER__PROCESSOR", "webhook"),
        ("HERALD_WEBHOOK__URL", &url),
        ("HERALD_WEBHOOK__SECRET", herald_tests::WEBHOOK_SECRET),
    ])
    .await;
    let admin = herald.http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    admin.create_user("alice", "user").await;
    let alice = herald.http("alice").await;
    let queue = async |args: &[&str]| {
        let args = [&["queue"], args].concat();
        herald.cli(&args).succeed().await
    };
    let answer = async |head: &str| {
        let (mut stream, _) = within("the webhook's call", service.accept())
            .await
            .unwrap();
        // The request comes first, and in one piece, or nearly.
        assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
        let head = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // Until Herald has it, or it might see a reset instead.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let status = async |id: &str, status: &str| {
        until(status, async || {
            let message = alice.message(id).await;
            (message["status"] == status).then_some(())
        })
        .await;
    };

    let id = alice.send_message("hello").await;
    answer("400 Bad Request").await;
    status(&id, "dead").await;
    assert!(queue(&["pause"]).await.contains("paused"));
    assert!(queue(&["retry", "--user", "admin"]).await.starts_with("0 "));
    let future = ["retry", "--from", "2999-01-01T00:00:00Z"];
    assert!(queue(&future).await.starts_with("0 "));
    let retried = queue(&["retry", "--user", "alice", "--from", "2000-01-01T00:00:00Z"]).await;
    assert!(retried.starts_with("1 "), "{retried}");
    let told = queue(&["status"]).await;
    for line in ["queued\t1", "dead\t0", "paused\tyes"] {
        assert!(told.lines().any(|l| l == line), "{told}");
    }
    assert_eq!(alice.message(&id).await["status"], "queued");
    queue(&["resume"]).await;
    answer("200 OK").await;
    status(&id, "processed").await;
    for args in [["retry", "--user", "nobody"], ["retry", "--to", "today"]] {
        let args = [&["queue"][..], &args].concat();
        assert_ne!(herald.cli(&args).run().await.code, 0);
    }
}
