//! A server that is killed under a store, and starts again on its data.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use herald_store::{Accepted, Seq, Store, StoreOptions, UserId};
use herald_test_databases::{DatabaseKind, ServerKind, TestServer};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::DATABASE;
use crate::common::{LEASE, at, processed, user};

/// What is started; nothing starts a MySQL server.
const SERVER: Option<ServerKind> = match DATABASE {
    DatabaseKind::Postgres => Some(ServerKind::Postgres),
    DatabaseKind::MariaDb => Some(ServerKind::MariaDb),
    DatabaseKind::Sqlite | DatabaseKind::MySql => None,
};

/// How often the server is killed, and how many messages end before each time.
const KILLS: usize = 4;
const BETWEEN: u32 = 40;

/// How long any of it may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What those who use the store have seen.
struct Seen {
    stopped: AtomicBool,
    accepted: Mutex<HashSet<String>>,
    finished: Mutex<HashMap<String, Seq>>,
    /// A permit for each message that has ended.
    ended: Semaphore,
    errors: Mutex<Vec<String>>,
}

impl Seen {
    fn new() -> Self {
        Self {
            stopped: AtomicBool::new(false),
            accepted: Mutex::default(),
            finished: Mutex::default(),
            ended: Semaphore::new(0),
            errors: Mutex::default(),
        }
    }

    fn goes_on(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed)
    }

    fn error(&self, error: &herald_store::StoreError) {
        assert!(error.is_transient(), "{error:?}");
        self.errors.lock().unwrap().push(error.to_string());
    }

    /// Sends one message after the other.
    async fn send(self: Arc<Self>, store: Store, ann: UserId) {
        while self.goes_on() {
            match store.accept(&ann, "hello".into(), None, at(0)).await {
                Ok(Accepted::New(message)) => {
                    let is_new = self.accepted.lock().unwrap().insert(message.id.to_string());
                    assert!(is_new);
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => self.error(&error),
            }
        }
    }

    /// Claims and finishes.
    async fn work(self: Arc<Self>, store: Store) {
        while self.goes_on() {
            match store.claim(8, LEASE, at(1)).await {
                Ok(jobs) => {
                    for job in jobs {
                        self.finish(&store, &job).await;
                    }
                }
                Err(error) => self.error(&error),
            }
        }
    }

    async fn finish(&self, store: &Store, job: &herald_store::Job) {
        match store.finish(job, processed(), at(2)).await {
            // A claim may be undone by a crash.
            Ok(None) => {}
            Ok(Some(finished)) => {
                let seq = finished.notification.seq;
                let before = self
                    .finished
                    .lock()
                    .unwrap()
                    .insert(job.id.to_string(), seq);
                assert_eq!(before, None, "it ended before");
                self.ended.add_permits(1);
            }
            Err(error) => self.error(&error),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_if_the_server_is_killed() {
    let Some(kind) = SERVER else {
        return;
    };
    let Some(mut server) = TestServer::start(kind).await else {
        return;
    };
    let database = server.empty().await;
    let store = Store::open(StoreOptions::at(database.url().into())).await;
    let store = store.unwrap();
    let ann = user(&store, "ann").await.id;
    let zero = herald_store::Delay::Fixed { ms: 0 };
    store.set_delay(zero, false).await.unwrap();
    let seen = Arc::new(Seen::new());
    let mut tasks: Vec<_> = (0..4)
        .map(|_| tokio::spawn(Arc::clone(&seen).send(store.clone(), ann.clone())))
        .collect();
    tasks.extend((0..2).map(|_| tokio::spawn(Arc::clone(&seen).work(store.clone()))));
    for kill in 1..=KILLS {
        match timeout(LIMIT, seen.ended.acquire_many(BETWEEN)).await {
            Ok(ended) => ended.unwrap().forget(),
            Err(_) => panic!("it does not go on before kill {kill}: {:?}", seen.errors),
        }
        server.kill().await;
        server.restart().await;
    }
    store.ping().await.unwrap();
    seen.stopped.store(true, Ordering::Relaxed);
    for task in tasks {
        timeout(LIMIT, task).await.unwrap().unwrap();
    }
    // What was claimed in vain comes back.
    store.release_all().await.unwrap();
    while store.next_due().await.unwrap().is_some() {
        for job in store.claim(64, LEASE, at(1)).await.unwrap() {
            seen.finish(&store, &job).await;
        }
    }
    let inbox = store.notifications(&ann, Seq::NONE, 1_000_000, usize::MAX);
    let inbox = inbox.await.unwrap().items;
    let numbers: Vec<_> = inbox.iter().map(|one| one.seq.0).collect();
    assert_eq!(numbers, (1..=inbox.len() as i64).collect::<Vec<_>>());
    let mut told = HashMap::new();
    for one in &inbox {
        let payload: serde_json::Value = serde_json::from_str(&one.payload).unwrap();
        let id = payload["message"]["id"].as_str().unwrap().to_owned();
        assert_eq!(told.insert(id, one.seq), None, "{payload} is told of twice");
    }
    for id in seen.accepted.lock().unwrap().iter() {
        assert!(told.contains_key(id), "{id} was accepted");
    }
    for (id, seq) in seen.finished.lock().unwrap().iter() {
        assert_eq!(told.get(id), Some(seq), "{id} was finished");
    }
    let errors = seen.errors.lock().unwrap().len();
    let unknown = inbox.len() - seen.accepted.lock().unwrap().len();
    assert!(
        unknown <= errors,
        "{unknown} without an answer, {errors} errors"
    );
    store.close().await;
}
