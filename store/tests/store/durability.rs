//! What is there after a crash, and beside another process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{Db, LEASE, at, claim_one, notify, processed, send, user};
use futures_util::FutureExt;
use futures_util::future::join_all;
use herald_store::{Seq, Status, Store, StoreOptions};

#[tokio::test]
async fn what_was_answered_is_there_after_a_reopening() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    let sends = (0..300).map(|_| send(&db.store, &ann.id, "hello", at(0)));
    let sent = join_all(sends).await;
    db.store.close().await;
    let again = db.open_again().await;
    assert_eq!(
        again.user_by_name(&ann.username).await.unwrap().as_ref(),
        Some(&ann)
    );
    for message in sent {
        let found = again.message(&ann.id, &message.id).await.unwrap();
        assert_eq!(found, Some(message));
    }
}

#[test]
fn what_was_answered_is_there_when_the_runtime_dies_under_it() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let (db, ann, sent) = first.block_on(async {
        let db = Db::new().await;
        let ann = user(&db.store, "ann").await;
        let sends = (0..20).map(|_| send(&db.store, &ann.id, "hello", at(0)));
        let sent = join_all(sends).await;
        // These are under way when all ends.
        for _ in 0..20 {
            let accept = db.store.accept(&ann.id, "late".into(), None, at(1));
            assert!(accept.now_or_never().is_none());
        }
        (db, ann, sent)
    });
    drop(first);
    runtime().block_on(async {
        let again = db.open_again().await;
        for message in sent {
            assert!(again.message(&ann.id, &message.id).await.unwrap().is_some());
        }
    });
}

const CRASHING: &str = "HERALD_STORE_TEST_CRASHING";

/// Not a test of its own: the process that `what_was_answered_survives_a_killed_process` kills.
#[tokio::test]
async fn child_that_sends_and_finishes_until_it_is_killed() {
    let Some(file) = std::env::var_os(CRASHING) else {
        return;
    };
    let store = Store::open(StoreOptions::sqlite(file.as_ref()))
        .await
        .unwrap();
    let ann = user(&store, "ann").await;
    loop {
        let sends = (0..10).map(|_| send(&store, &ann.id, "hello", at(0)));
        let sent = join_all(sends).await;
        let jobs = store.claim(5, LEASE, at(5_000)).await.unwrap();
        let finishes = jobs
            .iter()
            .map(|job| store.finish(job, processed(), at(5_000)));
        let finished = join_all(finishes).await;
        let mut lines = String::new();
        for message in sent {
            lines += &format!("sent {}\n", message.id);
        }
        for finished in finished {
            lines += &format!("told {}\n", finished.unwrap().unwrap().notification.seq);
        }
        std::io::stdout().write_all(lines.as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn what_was_answered_survives_a_killed_process() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("herald.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "durability::child_that_sends_and_finishes_until_it_is_killed",
            "--nocapture",
        ])
        .env(CRASHING, &file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .filter(|line| line.starts_with("sent ") || line.starts_with("told "))
        .take(500)
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(lines.len(), 500);

    let store = Store::open(StoreOptions::sqlite(&file)).await.unwrap();
    let ann = store
        .user_by_name(&crate::common::name("ann"))
        .await
        .unwrap()
        .unwrap();
    let inbox = store
        .notifications(&ann.id, Seq::NONE, 100_000, usize::MAX)
        .await
        .unwrap()
        .items;
    let numbers: Vec<_> = inbox
        .iter()
        .map(|notification| notification.seq.0)
        .collect();
    let last = store.position(&ann.id).await.unwrap().last.0;
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
    for line in lines {
        match line.split_once(' ').unwrap() {
            ("sent", id) => {
                let id = herald_store::MessageId::from_string(id);
                let found = store.message(&ann.id, &id).await.unwrap();
                assert!(found.is_some(), "{line}");
            }
            (_, seq) => assert!(seq.parse::<i64>().unwrap() <= last, "{line}"),
        }
    }
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.processed, last.unsigned_abs());
    assert_eq!(store.release_all().await.unwrap(), counts.processing);
}

#[tokio::test]
async fn two_processes_write_the_same_database() {
    let db = Db::new().await;
    let other = db.open_again().await;
    let ann = user(&db.store, "ann").await;
    let sends = (0..200).map(|number| {
        let store = if number % 2 == 0 { &db.store } else { &other };
        send(store, &ann.id, "hello", at(0))
    });
    assert_eq!(join_all(sends).await.len(), 200);
    assert_eq!(other.counts().await.unwrap().queued, 200);
    assert_eq!(db.store.counts().await.unwrap().queued, 200);

    // A message that one of them claimed is not claimed by the other.
    let (mine, theirs) = tokio::join!(
        db.store.claim(150, LEASE, at(0)),
        other.claim(150, LEASE, at(0))
    );
    // A queue that one of them takes from is passed over by the other.
    let rest = other.claim(150, LEASE, at(0)).await;
    let jobs = [mine, theirs, rest].map(Result::unwrap).concat();
    let ids: std::collections::HashSet<_> = jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!((jobs.len(), ids.len()), (200, 200));
}

#[tokio::test]
async fn many_open_a_new_database_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("herald.db");
    let opens = (0..8).map(|_| Store::open(StoreOptions::sqlite(&file)));
    for store in join_all(opens).await {
        store.unwrap().ping().await.unwrap();
    }
}

#[tokio::test]
async fn reads_do_not_wait_for_a_write() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    notify(&db.store, &ann.id, 1).await;
    let lock = db.lock().await;
    let write = db.store.accept(&ann.id, "hello".into(), None, at(0));
    tokio::pin!(write);
    assert!(futures_util::poll!(&mut write).is_pending());
    assert_eq!(db.store.position(&ann.id).await.unwrap().last, Seq(1));
    let messages = db
        .store
        .messages(&ann.id, Some(Status::Processed), None, 9)
        .await;
    assert_eq!(messages.unwrap().items.len(), 1);
    assert!(futures_util::poll!(&mut write).is_pending());
    lock.release().await;
    write.await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_dropped_instead_of_closed_opens_again() {
    let Db { dir, store } = Db::new().await;
    let ann = user(&store, "ann").await;
    send(&store, &ann.id, "hello", at(0)).await;
    drop(store);
    let again = dir.open().await;
    let job = claim_one(&again, at(0)).await;
    assert!(
        again
            .renew(&job, Duration::from_secs(1), at(1))
            .await
            .unwrap()
    );
}
