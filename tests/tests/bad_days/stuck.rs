//! A service that takes messages and never answers.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use herald_tests::{Herald, Http, Version, raw::Raw, until};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What the service does not answer, while it is stuck.
const STUCK: &str = "stuck";

/// The service. Dropping it ends it.
struct Service {
    address: SocketAddr,
    state: Arc<ServiceState>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct ServiceState {
    /// Whether it answers nothing, also what is not [`STUCK`].
    all: AtomicBool,
    /// Whether it answers everything.
    well: AtomicBool,
    /// Requests that it took and did not answer.
    unanswered: AtomicUsize,
}

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<ServiceState>::default();
        let serving = state.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, serving.clone()));
            }
        });
        Self {
            address,
            state,
            _serving: tasks,
        }
    }

    fn unanswered(&self) -> usize {
        self.state.unanswered.load(Ordering::SeqCst)
    }
}

/// Responds to the requests of one connection, or does not.
async fn serve(mut stream: TcpStream, state: Arc<ServiceState>) {
    let mut buffer = vec![];
    loop {
        let Some(request) = request(&mut stream, &mut buffer).await else {
            return;
        };
        let stuck = request.contains(STUCK) || state.all.load(Ordering::SeqCst);
        if stuck && !state.well.load(Ordering::SeqCst) {
            state.unanswered.fetch_add(1, Ordering::SeqCst);
            // Until the other side has enough of it.
            while stream.read_buf(&mut buffer).await.is_ok_and(|n| n > 0) {}
            return;
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next request, headers and all.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        let text = String::from_utf8_lossy(buffer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split_once("content-length: ").unwrap().1;
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() >= length {
                buffer.clear();
                return Some(text);
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

async fn listening(herald: &Herald, username: &str) -> (Http, Raw) {
    let mut raw = Raw::connect(herald, Version::V5, username).await;
    let inbox = format!("users/{username}/notifications");
    assert_eq!(raw.subscribe(&inbox).await, 1);
    (herald.http(username).await, raw)
}

async fn next(raw: &mut Raw) -> Value {
    serde_json::from_str(&raw.take().await.payload).unwrap()
}

#[tokio::test]
async fn a_stuck_service_holds_back_its_own_messages_alone_and_is_got_over() {
    let service = Service::start().await;
    let url = format!("http://{}/", service.address);
    let herald = Herald::start_with(&[
        ("HERALD_WORKER__PROCESSOR", "webhook"),
        ("HERALD_WORKER__CONCURRENCY", "4"),
        ("HERALD_WORKER__MAX_ATTEMPTS", "2"),
        ("HERALD_WORKER__BACKOFF_MS", "10"),
        ("HERALD_WEBHOOK__URL", &url),
        ("HERALD_WEBHOOK__SECRET", herald_tests::WEBHOOK_SECRET),
        ("HERALD_WEBHOOK__TIMEOUT_MS", "4000"),
    ])
    .await;
    let admin = herald.http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    for user in ["alice", "bob"] {
        admin.create_user(user, "user").await;
    }
    let (alice, mut hears_alice) = listening(&herald, "alice").await;
    let (bob, mut hears_bob) = listening(&herald, "bob").await;

    // Two of four places are stuck: bob has the others.
    let stuck = [
        alice.send_message(STUCK).await,
        alice.send_message(STUCK).await,
    ];
    until("both to be stuck", async || {
        (service.unanswered() >= 2).then_some(())
    })
    .await;
    for n in 1..=20 {
        bob.send_message(&n.to_string()).await;
        let heard = next(&mut hears_bob).await;
        assert_eq!(heard["seq"], n, "{heard}");
        assert_eq!(heard["type"], "message.processed", "{heard}");
    }
    // It was tried again, and then given up.
    let mut failed = vec![];
    for seq in 1..=2 {
        let heard = next(&mut hears_alice).await;
        assert_eq!(heard["seq"], seq, "{heard}");
        assert_eq!(heard["type"], "message.failed", "{heard}");
        assert_eq!(heard["message"]["attempts"], 2, "{heard}");
        failed.push(heard["message"]["id"].as_str().unwrap().to_owned());
    }
    failed.sort_unstable();
    let mut expected = stuck.to_vec();
    expected.sort_unstable();
    assert_eq!(failed, expected);
    let message = alice.message(&stuck[0]).await;
    assert_eq!(message["status"], "dead", "{message}");
    let attempts = message["failed_attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{message}");

    // Now nothing is answered, until it is again.
    service.state.all.store(true, Ordering::SeqCst);
    let before = service.unanswered();
    let waits = bob.send_message("waits").await;
    until("it to be stuck", async || {
        (service.unanswered() > before).then_some(())
    })
    .await;
    service.state.well.store(true, Ordering::SeqCst);
    let heard = next(&mut hears_bob).await;
    assert_eq!(heard["message"]["id"], waits, "{heard}");
    assert_eq!(heard["type"], "message.processed", "{heard}");
    // And what had died can be tried again.
    let path = format!("/admin/messages/{}/retry", stuck[0]);
    admin.post(&path, &Value::Null).await.expect(202);
    let heard = next(&mut hears_alice).await;
    assert_eq!(heard["seq"], 3, "{heard}");
    assert_eq!(heard["type"], "message.processed", "{heard}");
    assert_eq!(heard["message"]["id"], stuck[0], "{heard}");
    let dead = admin.get("/admin/messages?status=dead").await.expect(200);
    assert_eq!(dead["items"][0]["id"], stuck[1], "{dead}");
    assert_eq!(dead["items"][0]["username"], "alice", "{dead}");
    assert!(!herald.stderr().contains("panicked"));
}
