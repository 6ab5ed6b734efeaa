//! What becomes of messages before they end, live: `users/{name}/progress`.

use herald_tests::{
    Herald, Http, Version, WEBHOOK_SECRET,
    raw::{Connect, Raw},
    within,
};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::notified::{inbox, messages};

const BUSY: &str = "503 Service Unavailable\r\nretry-after: 3600";
const NEVER: &str = "400 Bad Request";
const DONE: &str = "200 OK";

fn progress(username: &str) -> String {
    format!("users/{username}/progress")
}

/// A client that follows the progress of a user.
async fn follower(herald: &Herald, version: Version, connect: &Connect, whose: &str) -> Raw {
    let mut raw = Raw::connect_as(herald, version, connect).await;
    assert_eq!(raw.subscribe(&progress(whose)).await, 0);
    raw
}

/// What comes next, which must be progress of this user.
async fn told(raw: &mut Raw, whose: &str) -> Value {
    let publish = raw.take().await;
    let shape = (publish.topic, publish.qos, publish.retain);
    assert_eq!(shape, (progress(whose), 0, false));
    serde_json::from_str(&publish.payload).unwrap()
}

/// The progress of a message. Its time is as the API has it.
async fn changed(http: &Http, id: &str, status: &str, attempts: i64) -> Value {
    let message = http.message(id).await;
    json!({"type": "message.changed", "message": {
        "id": id, "status": status, "run_at": message["run_at"], "attempts": attempts,
    }})
}

fn moved() -> Value {
    json!({"type": "messages.moved"})
}

/// What was told before the last answer of the API has come once a second PINGRESP has.
async fn silent(raw: &mut Raw) {
    for _ in 0..2 {
        assert_eq!(raw.at_once().await, []);
    }
}

/// The next message that the service is asked to process, until it is answered.
struct Asked(TcpStream);

impl Asked {
    async fn by(service: &TcpListener) -> Self {
        let (mut stream, _) = within("a request", service.accept()).await.unwrap();
        let mut request = vec![];
        while !is_whole(&request) {
            let read = within("a request", stream.read_buf(&mut request)).await;
            assert_ne!(read.unwrap(), 0, "{request:?}");
        }
        Self(stream)
    }

    async fn answer(mut self, answer: &str) {
        let head = format!("HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        self.0.write_all(head.as_bytes()).await.unwrap();
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.split_once("content-length: ").unwrap().1;
    let length = length.lines().next().unwrap();
    body.len() >= length.parse().unwrap()
}

#[tokio::test]
async fn each_step_of_a_message_is_told_to_its_owner_alone() {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", service.local_addr().unwrap());
    let herald = Herald::start_with(&[
        ("HERALD_WORKER__PROCESSOR", "webhook"),
        ("HERALD_WEBHOOK__URL", &url),
        ("HERALD_WEBHOOK__SECRET", WEBHOOK_SECRET),
    ])
    .await;
    let admin = herald.http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    for user in ["alice", "bob"] {
        admin.create_user(user, "user").await;
    }
    let http = herald.http("alice").await;
    let mut alice = follower(&herald, Version::V311, &Connect::of("alice"), "alice").await;
    let mut bob = follower(&herald, Version::V5, &Connect::of("bob"), "bob").await;
    let wild = Connect::of("alice").client_id("wild");
    let mut wild = Raw::connect_as(&herald, Version::V5, &wild).await;
    assert_eq!(wild.subscribe("users/alice/#").await, 1);
    let mut observer = Raw::connect(&herald, Version::V5, "admin").await;
    assert!(observer.subscribe("#").await <= 2);

    // It fails, and is taken back between two attempts.
    let id = http.send_message("cancelled").await;
    let asked = Asked::by(&service).await;
    let begun = changed(&http, &id, "processing", 1).await;
    assert_eq!(told(&mut alice, "alice").await, begun);
    asked.answer(BUSY).await;
    let again = told(&mut alice, "alice").await;
    assert_eq!(again, changed(&http, &id, "queued", 1).await);
    assert_ne!(again["message"]["run_at"], begun["message"]["run_at"]);
    let path = format!("/messages/{id}");
    http.delete(&path).await.expect(204);
    let cancelled = changed(&http, &id, "cancelled", 1).await;
    assert_eq!(told(&mut alice, "alice").await, cancelled);
    let late = http.delete(&format!("{path}?status=queued")).await;
    late.expect_problem(409, "not_queued");
    // It has ended, and is deleted.
    http.delete(&path).await.expect(204);
    let deleted = json!({"type": "message.deleted", "message": {"id": id}});
    assert_eq!(told(&mut alice, "alice").await, deleted);
    http.delete(&path).await.expect_problem(404, "not_found");

    // It is dead, and retried by an administrator.
    let id = http.send_message("retried").await;
    let asked = Asked::by(&service).await;
    let begun = changed(&http, &id, "processing", 1).await;
    assert_eq!(told(&mut alice, "alice").await, begun);
    asked.answer(NEVER).await;
    for raw in [&mut wild, &mut observer] {
        let dead = raw.take().await;
        assert_eq!(dead.topic, inbox("alice"));
        assert!(dead.payload.contains("message.failed"), "{dead:?}");
    }
    let pause = admin.post("/admin/queue/pause", &Value::Null).await;
    pause.expect(204);
    let path = format!("/admin/messages/{id}/retry");
    admin.post(&path, &Value::Null).await.expect(202);
    let queued = changed(&http, &id, "queued", 1).await;
    assert_eq!(told(&mut alice, "alice").await, queued);
    let resume = admin.post("/admin/queue/resume", &Value::Null).await;
    resume.expect(204);
    let asked = Asked::by(&service).await;
    let begun = changed(&http, &id, "processing", 2).await;
    assert_eq!(told(&mut alice, "alice").await, begun);
    asked.answer(DONE).await;

    // Whoever did not ask for exactly this got what it always got.
    for raw in [&mut wild, &mut observer] {
        let processed = raw.take().await;
        assert_eq!(processed.topic, inbox("alice"));
        assert!(processed.payload.contains("message.processed"));
        silent(raw).await;
    }
    silent(&mut alice).await;
    silent(&mut bob).await;
}

#[tokio::test]
async fn a_new_delay_that_moves_messages_is_told_to_those_it_may_concern() {
    let herald = Herald::with_users(&["alice", "bob"]).await;
    let admin = herald.http("admin").await;
    let delay = |ms: u32, apply: bool| json!({"mode": "fixed", "ms": ms, "apply_to_queued": apply});
    admin.set_delay(delay(600_000, false)).await;
    herald.http("alice").await.send_message("waits").await;
    let mut alice = follower(&herald, Version::V5, &Connect::of("alice"), "alice").await;
    let mut bob = follower(&herald, Version::V311, &Connect::of("bob"), "bob").await;
    let mut root = follower(&herald, Version::V5, &Connect::of("admin"), "alice").await;

    // Nothing moves.
    admin.set_delay(delay(700_000, false)).await;
    let own = |name: &str| format!("/admin/users/{name}/delay");
    let of_bob = admin.put(&own("bob"), &delay(800_000, true)).await;
    of_bob.expect(200);
    silent(&mut bob).await;

    admin.set_delay(delay(800_000, true)).await;
    assert_eq!(told(&mut alice, "alice").await, moved());
    assert_eq!(told(&mut root, "alice").await, moved());
    assert_eq!(told(&mut bob, "bob").await, moved());
    let of_alice = admin.put(&own("alice"), &delay(900_000, true)).await;
    of_alice.expect(200);
    assert_eq!(told(&mut alice, "alice").await, moved());
    assert_eq!(told(&mut root, "alice").await, moved());
    let path = format!("{}?apply_to_queued=true", own("alice"));
    admin.delete(&path).await.expect(204);
    assert_eq!(told(&mut alice, "alice").await, moved());
    assert_eq!(told(&mut root, "alice").await, moved());
    silent(&mut alice).await;
    silent(&mut bob).await;
}

#[rstest]
#[tokio::test]
async fn bob_may_not_follow_alice_and_nobody_may_tell_of_her(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = Herald::with_users(&["alice", "bob"]).await;
    let topic = progress("alice");
    let mut alice = follower(&herald, version, &Connect::of("alice"), "alice").await;
    let mut bob = Raw::connect(&herald, version, "bob").await;
    for filter in [topic.as_str(), "users/+/progress", "+/alice/progress"] {
        let refused = version.subscribe_refused();
        assert_eq!(bob.subscribe(filter).await, refused, "{filter}");
    }
    let mut admin = Raw::connect(&herald, version, "admin").await;
    for raw in [&mut alice, &mut bob, &mut admin] {
        let code = raw.publish(&topic, &moved().to_string()).await;
        assert_eq!(code, version.puback(0x87));
    }
    // She hears of her own, and he of nothing.
    assert_eq!(bob.subscribe(&progress("bob")).await, 0);
    let send = json!({"body": "hers"}).to_string();
    assert_eq!(alice.publish(&messages("alice"), &send).await, 0);
    let begun = told(&mut alice, "alice").await;
    assert_eq!(begun["message"]["status"], "processing");
    silent(&mut bob).await;
}
