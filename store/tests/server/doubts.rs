//! What becomes of writes that are slow to be known, and of those that a server is slow to take.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use herald_store::{Accepted, Delay, Store, StoreError, UserId};
use herald_test_databases::{DatabaseKind, Message, Moment};
use rstest::rstest;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::DATABASE;
use crate::common::{Db, LEASE, Lock, at};
use crate::faults::Behind;
use crate::waiting::is_waited_for;

/// How long any of it may take, and what waits for no lock.
const LIMIT: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(4);

/// Too short for what does not come.
const MOMENT: Duration = Duration::from_millis(200);

/// Whether this asks what came of a commit.
fn is_question(message: &Message) -> bool {
    let statement = message.statement.as_deref().unwrap_or_default();
    statement.starts_with("INSERT INTO last_commits")
}

/// A send that goes on.
type Sending = JoinHandle<Result<Accepted, StoreError>>;

fn sending(store: &Store, ann: &UserId) -> Sending {
    let (store, ann) = (store.clone(), ann.clone());
    tokio::spawn(async move { store.accept(&ann, "hello".into(), None, at(0)).await })
}

/// A send whose transaction has begun, and the lock for which it waits.
async fn sending_behind_a_lock(behind: &Behind) -> (Lock, Sending) {
    let lock = behind.db.lock().await;
    let waits = Arc::new(Semaphore::new(0));
    let seen = Arc::clone(&waits);
    let _watch = behind.proxy.cut_at(Moment::Before, move |message| {
        let statement = message.statement.as_deref().unwrap_or_default();
        if statement.contains("user_queues") {
            seen.add_permits(1);
        }
        false
    });
    let sending = sending(&behind.store, &behind.ann);
    timeout(LIMIT, waits.acquire()).await.unwrap().unwrap().forget();
    (lock, sending)
}

/// Runs a statement that waits for the transaction of the store; returns once it waits.
async fn runs_next(behind: &Behind, text: &'static str) -> JoinHandle<AnyConnection> {
    let mut conn = behind.db.connect().await;
    let running = tokio::spawn(async move {
        conn.execute(text).await.unwrap();
        conn
    });
    let waits = async {
        while !is_waited_for(&behind.db, "last_commits").await {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, waits).await.unwrap();
    running
}

/// Whatever is wrong with asking, it says nothing of what is asked for.
#[tokio::test]
async fn what_came_of_a_commit_is_asked_for_until_it_is_known() {
    let behind = Behind::new().await;
    let (lock, sending) = sending_behind_a_lock(&behind).await;
    let (away, back) = match DATABASE {
        DatabaseKind::Postgres => (
            "ALTER TABLE last_commits RENAME TO moved",
            "ALTER TABLE moved RENAME TO last_commits",
        ),
        _ => (
            "RENAME TABLE last_commits TO moved",
            "RENAME TABLE moved TO last_commits",
        ),
    };
    let moved = runs_next(&behind, away).await;
    let lost = behind.proxy.cut_at(Moment::Answered, Message::is_commit);
    let asked = Arc::new(Semaphore::new(0));
    let asks = Arc::clone(&asked);
    let _watch = behind.proxy.cut_at(Moment::Before, move |message| {
        if is_question(message) {
            asks.add_permits(1);
        }
        false
    });
    lock.release().await;
    timeout(LIMIT, lost.wait()).await.unwrap();
    timeout(LIMIT, moved).await.unwrap().unwrap();
    let twice = timeout(LIMIT, asked.acquire_many(2)).await.unwrap();
    twice.unwrap().forget();
    behind.db.execute(back).await;
    let sent = timeout(LIMIT, sending).await.unwrap().unwrap();
    assert!(matches!(sent, Ok(Accepted::New(_))), "{sent:?}");
    assert_eq!(behind.db.store.counts().await.unwrap().queued, 1);
    behind.store.close().await;
}

/// Nobody is told that nothing was written if that is not known.
#[tokio::test]
async fn what_cannot_be_asked_for_is_not_said_to_be_undone() {
    let behind = Behind::new().await;
    // Its mark is there from then on.
    let delay = behind.store.set_delay(Delay::Fixed { ms: 0 }, false);
    delay.await.unwrap();
    let (lock, sending) = sending_behind_a_lock(&behind).await;
    let marks = "BEGIN; UPDATE last_commits SET at = at + 1";
    let marks = runs_next(&behind, marks).await;
    let lost = behind.proxy.cut_at(Moment::Answered, Message::is_commit);
    lock.release().await;
    timeout(LIMIT, lost.wait()).await.unwrap();
    let locked = timeout(LIMIT, marks).await.unwrap().unwrap();
    let sent = timeout(LIMIT, sending).await.unwrap().unwrap();
    assert!(
        matches!(sent, Err(StoreError::Unreachable { .. })),
        "{sent:?}"
    );
    assert_eq!(behind.db.store.counts().await.unwrap().queued, 1);
    // What is written next comes after it, and so waits until it is known.
    let mut next = self::sending(&behind.store, &behind.ann);
    assert!(timeout(MOMENT, &mut next).await.is_err(), "it is not known");
    locked.close().await.unwrap();
    let next = timeout(LIMIT, next).await.unwrap().unwrap();
    assert!(matches!(next, Ok(Accepted::New(_))), "{next:?}");
    assert_eq!(behind.db.store.counts().await.unwrap().queued, 2);
}

/// When a connection falls silent.
#[derive(Clone, Copy, PartialEq)]
enum Silent {
    Idle,
    InTransaction,
    Committing,
}

/// As it is if a firewall has forgotten it: another one is answered.
#[rstest]
#[tokio::test]
async fn a_silent_connection_is_changed_for_another_in_time(
    #[values(Silent::Idle, Silent::InTransaction, Silent::Committing)] when: Silent,
) {
    let behind = Behind::new().await;
    let silence = Mutex::new(Some(behind.proxy.silence()));
    let _watch = behind.proxy.cut_at(Moment::Before, move |message| {
        let statement = message.statement.as_deref().unwrap_or_default();
        let is_now = match when {
            Silent::Idle => false,
            Silent::InTransaction => statement.contains("FOR UPDATE"),
            Silent::Committing => message.is_commit(),
        };
        if is_now && let Some(silence) = silence.lock().unwrap().take() {
            silence.begin();
        }
        false
    });
    if when == Silent::Idle {
        behind.proxy.silence().begin();
    }
    let sent = timeout(LIMIT, sending(&behind.store, &behind.ann)).await;
    let sent = sent.unwrap().unwrap();
    assert!(matches!(sent, Ok(Accepted::New(_))), "{sent:?}");
    assert_eq!(behind.db.store.counts().await.unwrap().queued, 1);
}

/// What others have locked is forgotten later.
#[tokio::test]
async fn old_marks_are_forgotten_and_locked_ones_hold_nobody_up() {
    let db = Db::new().await;
    db.execute(
        "INSERT INTO last_commits (writer, number, at) VALUES ('old', 1, 0), ('locked', 1, 0)",
    )
    .await;
    let mut other = db.connect().await;
    other
        .execute("BEGIN; UPDATE last_commits SET at = 1 WHERE writer = 'locked'")
        .await
        .unwrap();
    let store = db.open_again().await;
    let writes = async {
        for _ in 0..2 {
            let due = store.claim(1, LEASE, at(0)).await.unwrap();
            assert!(due.is_empty());
        }
    };
    timeout(SOON, writes).await.unwrap();
    let old = "SELECT COUNT(*) FROM last_commits WHERE writer = 'old'";
    let locked = "SELECT COUNT(*) FROM last_commits WHERE writer = 'locked'";
    assert_eq!((db.count(old).await, db.count(locked).await), (0, 1));
    let recent = "SELECT COUNT(*) FROM last_commits WHERE number > 0 AND writer <> 'locked'";
    assert_eq!(db.count(recent).await, 2, "those of both stores");
    other.close().await.unwrap();
}

/// As while a server changes places with its standby.
#[tokio::test]
async fn writes_wait_for_a_server_that_only_reads_for_a_while() {
    if DATABASE != DatabaseKind::Postgres {
        // Elsewhere it is a setting of the whole server, which other tests use.
        return;
    }
    let behind = Behind::new().await;
    let name = behind.db.dir.url().rsplit('/').next().unwrap().to_owned();
    let set = async |setting: &str| {
        let text = format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = {setting}");
        let mut conn = behind.db.connect().await;
        conn.execute("SET default_transaction_read_only = off").await.unwrap();
        conn.execute(sqlx::AssertSqlSafe(text)).await.unwrap();
        conn.close().await.unwrap();
    };
    set("on").await;
    behind.proxy.cut_all();
    let begun = Arc::new(Semaphore::new(0));
    let begins = Arc::clone(&begun);
    let _watch = behind.proxy.cut_at(Moment::Before, move |message| {
        let statement = message.statement.as_deref().unwrap_or_default();
        if statement.starts_with("BEGIN") {
            begins.add_permits(1);
        }
        false
    });
    let sending = sending(&behind.store, &behind.ann);
    // Lost; refused; again.
    let thrice = timeout(LIMIT, begun.acquire_many(3)).await.unwrap();
    thrice.unwrap().forget();
    set("off").await;
    let sent = timeout(LIMIT, sending).await.unwrap().unwrap();
    assert!(matches!(sent, Ok(Accepted::New(_))), "{sent:?}");
}
