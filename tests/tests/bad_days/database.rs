//! A database server that is killed under the running server, and starts again on its data.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use herald_test_databases::{ServerKind, TestDatabase, TestServer};
use herald_tests::{Herald, Http, Version, until, within};
use rstest::rstest;
use serde_json::{Value, json};

use crate::refusing::{Alice, get};

/// How often the database is killed while users send, and how many messages are heard of before each time.
const KILLS: usize = 3;
const BETWEEN: usize = 20;

/// Herald on a database that a test may kill.
async fn begin(kind: ServerKind) -> Option<(TestServer, TestDatabase, Herald)> {
    let server = TestServer::start(kind).await?;
    let database = server.empty().await;
    let herald = Herald::start_with(&[
        ("HERALD_DATABASE__URL", database.url()),
        ("HERALD_WORKER__LEASE_MS", "1000"),
        ("HERALD_LIMITS__SENDS_PER_MINUTE", "1000000"),
        ("HERALD_LIMITS__REQUESTS_PER_MINUTE", "1000000"),
        ("HERALD_LIMITS__REQUESTS_PER_MINUTE_PER_ADDRESS", "1000000"),
    ])
    .await;
    Some((server, database, herald))
}

#[rstest]
#[tokio::test]
async fn a_database_that_is_killed_is_told_of_and_all_goes_on_once_it_is_back(
    #[values(ServerKind::Postgres, ServerKind::MariaDb)] kind: ServerKind,
) {
    let Some((mut server, _database, herald)) = begin(kind).await else {
        return;
    };
    let mut alice = Alice::new(&herald).await;
    let mut publishers = vec![];
    for version in Version::BOTH {
        let id = format!("{version:?}");
        publishers.push(alice.publisher(&herald, version, &id).await);
    }
    assert!(alice.post(10).await);
    server.kill().await;
    let ready = until("/readyz to say so", async || {
        let ready = get(&herald, "/readyz").await;
        (ready.status != 200).then_some(ready)
    })
    .await;
    ready.expect_problem(503, "not_ready");
    assert!(ready.text.contains("database"), "{ready:?}");
    assert_eq!(get(&herald, "/healthz").await.status, 200);
    assert!(!alice.post(10).await);
    // Over MQTT, connections end: for all that this server knows, another one is at work on what it had.
    for (publisher, version) in publishers.iter_mut().zip(Version::BOTH) {
        let told = (version == Version::V5).then_some(0x89);
        assert_eq!(publisher.ended().await, told, "{version:?}");
    }
    assert_eq!(alice.listening.ended_at_last().await, Some(0x89));
    server.restart().await;
    alice.listen_again(&herald).await;
    alice.finds_all_well(&herald).await;
    let log = herald.stderr();
    assert!(
        log.contains("the database server cannot be reached"),
        "{log}"
    );
    assert!(!log.contains("panicked"), "{log}");
}

/// What became of sends, by body: whether they were accepted. One that was not may have been stored.
#[derive(Default)]
struct Sends {
    stopped: AtomicBool,
    accepted: Mutex<HashMap<String, bool>>,
}

impl Sends {
    async fn over_http(self: Arc<Self>, http: Http, sender: usize) {
        for number in 0.. {
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
            let body = format!("{sender} {number}");
            let answer = http.post("/messages", &json!({"body": body})).await;
            if answer.status != 202 {
                assert_eq!(answer.status, 503, "{answer:?}");
                assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
            }
            let mut accepted = self.accepted.lock().unwrap();
            accepted.insert(body, answer.status == 202);
        }
    }
}

/// Counts what is heard of each body. The number of each notification is one more than that of the one before; one that comes
/// again after a connection has ended, as an outage took too long, is not counted.
async fn hear(alice: &mut Alice, herald: &Herald, heard: &mut HashMap<String, usize>) {
    let mut may_repeat = false;
    loop {
        let Some(publish) = alice.listening.take_unless_ended().await else {
            alice.listen_again(herald).await;
            may_repeat = true;
            continue;
        };
        let told: Value = serde_json::from_str(&publish.payload).unwrap();
        let body = told["message"]["body"].as_str().unwrap();
        let seq = told["seq"].as_u64().unwrap() as usize;
        if may_repeat && heard.contains_key(body) && seq <= heard.len() {
            continue;
        }
        *heard.entry(body.to_owned()).or_default() += 1;
        let all: usize = heard.values().sum();
        assert_eq!(seq, all, "{told}");
        return;
    }
}

#[rstest]
#[tokio::test]
async fn nothing_that_was_accepted_is_lost_or_doubled_while_the_database_is_killed(
    #[values(ServerKind::Postgres, ServerKind::MariaDb)] kind: ServerKind,
) {
    let Some((mut server, _database, herald)) = begin(kind).await else {
        return;
    };
    let mut alice = Alice::new(&herald).await;
    let sends = Arc::<Sends>::default();
    let senders: Vec<_> = (0..4)
        .map(|sender| tokio::spawn(Arc::clone(&sends).over_http(alice.http.clone(), sender)))
        .collect();
    let mut heard = HashMap::new();
    for _ in 0..KILLS {
        for _ in 0..BETWEEN {
            hear(&mut alice, &herald, &mut heard).await;
        }
        server.kill().await;
        server.restart().await;
    }
    until("/readyz to be well", async || {
        (get(&herald, "/readyz").await.status == 200).then_some(())
    })
    .await;
    sends.stopped.store(true, Ordering::Relaxed);
    for sender in senders {
        within("the senders", sender).await.unwrap();
    }
    let accepted = std::mem::take(&mut *sends.accepted.lock().unwrap());
    while accepted
        .iter()
        .any(|(body, accepted)| *accepted && !heard.contains_key(body))
    {
        hear(&mut alice, &herald, &mut heard).await;
    }
    assert!(heard.values().all(|times| *times == 1), "{heard:?}");
    assert!(heard.keys().all(|body| accepted.contains_key(body)));
    assert!(!herald.stderr().contains("panicked"));
}
