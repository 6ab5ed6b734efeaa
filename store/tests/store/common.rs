//! What the tests share: a database in a folder of its own, and a clock that stands still.

use std::path::{Path, PathBuf};
use std::time::Duration;

use herald_acl::{Role, Username};
use herald_store::{
    Accepted, Acknowledged, CloseUser, CreateToken, CreateUser, Delay, Finished, Job, Message,
    NewSession, NewToken, Outcome, Scopes, Seq, Store, StoreOptions, Timestamp, Token, TokenOrigin,
    User, UserId,
};
use sqlx::{Connection, Executor, SqliteConnection};
use tempfile::TempDir;

/// How long the leases of the tests last.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// The time at `millis` after the tests begin.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_795_341_600_000 + millis)
}

/// A database in a folder that goes with it.
pub(crate) struct Db {
    pub(crate) dir: TempDir,
    pub(crate) store: Store,
}

impl Db {
    /// A new one, without a delay.
    pub(crate) async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open(StoreOptions::sqlite(&dir.path().join("herald.db")))
            .await
            .unwrap();
        store
            .set_delay(Delay::Fixed { ms: 0 }, false)
            .await
            .unwrap();
        Self { dir, store }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("herald.db")
    }

    /// What a query that counts answers.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        let url = format!("sqlite://{}", self.file().display());
        let mut conn = SqliteConnection::connect(&url).await.unwrap();
        let count = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        count
    }

    /// Another handle on the same file, as another process would have.
    pub(crate) async fn open_again(&self) -> Store {
        Store::open(StoreOptions::sqlite(&self.file()))
            .await
            .unwrap()
    }
}

pub(crate) fn name(text: &str) -> Username {
    Username::parse(text).unwrap()
}

pub(crate) async fn user(store: &Store, username: &str) -> User {
    let created = store
        .create_user(&name(username), Role::User, "hash", at(0))
        .await;
    match created.unwrap() {
        CreateUser::Created(user) => user,
        CreateUser::Taken => panic!("{username} is taken"),
    }
}

/// Accepts a message without an idempotency key.
pub(crate) async fn send(store: &Store, user: &UserId, body: &str, now: Timestamp) -> Message {
    match store.accept(user, body.into(), None, now).await.unwrap() {
        Accepted::New(message) => message,
        other => panic!("{other:?}"),
    }
}

/// Accepts `count` messages, the first at 0 ms and each a millisecond later.
pub(crate) async fn send_many(store: &Store, user: &UserId, count: i64) -> Vec<Message> {
    let all: Vec<_> = (0..count).collect();
    let mut sent = vec![];
    // As many as may wait for the writer.
    for some in all.chunks(500) {
        let sends = some.iter().map(|n| send(store, user, "hello", at(*n)));
        sent.extend(futures_util::future::join_all(sends).await);
    }
    sent
}

/// Claims the one message that is due.
pub(crate) async fn claim_one(store: &Store, now: Timestamp) -> Job {
    let mut jobs = store.claim(10, LEASE, now).await.unwrap();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    jobs.remove(0)
}

pub(crate) fn processed() -> Outcome {
    Outcome::Processed {
        result: "done".into(),
    }
}

/// Sends, claims and finishes `count` messages, one after the other.
pub(crate) async fn notify(store: &Store, user: &UserId, count: usize) -> Vec<Finished> {
    let mut finished = Vec::new();
    for _ in 0..count {
        send(store, user, "hello", at(0)).await;
        let job = claim_one(store, at(0)).await;
        finished.push(
            store
                .finish(&job, processed(), at(1))
                .await
                .unwrap()
                .unwrap(),
        );
    }
    finished
}

/// What acknowledges everything up to `seq` for the user's cursor alone.
pub(crate) fn up_to(user: &UserId, seq: i64) -> Acknowledged {
    Acknowledged {
        user: user.clone(),
        client_id: None,
        up_to: Seq(seq),
    }
}

/// Runs a statement beside the store, as an operator with a SQL shell would.
pub(crate) async fn execute(file: &Path, sql: &'static str) {
    let url = format!("sqlite://{}", file.display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    conn.execute(sql).await.unwrap();
    conn.close().await.unwrap();
}

/// The write lock, held as another process would hold it.
pub(crate) struct Lock(SqliteConnection);

impl Lock {
    pub(crate) async fn take(file: &Path) -> Self {
        let url = format!("sqlite://{}", file.display());
        let mut conn = SqliteConnection::connect(&url).await.unwrap();
        conn.execute("BEGIN IMMEDIATE").await.unwrap();
        Self(conn)
    }

    pub(crate) async fn release(mut self) {
        self.0.execute("ROLLBACK").await.unwrap();
        self.0.close().await.unwrap();
    }
}

/// Begins a session whose secret has this hash.
pub(crate) async fn begin_session(
    store: &Store,
    user: &UserId,
    hash: &str,
    expires_at: Timestamp,
    now: Timestamp,
) {
    store
        .create_session(user, new_session(hash, expires_at), now)
        .await
        .unwrap();
}

pub(crate) fn new_session(hash: &str, expires_at: Timestamp) -> NewSession {
    NewSession {
        // Of the users that are made here.
        password_hash: "hash".into(),
        secret_hash: hash.into(),
        csrf_token: "csrf".into(),
        address: "192.0.2.1".into(),
        user_agent: Some("browser".into()),
        expires_at,
    }
}

pub(crate) fn new_token(
    name: &str,
    scopes: Scopes,
    hash: &str,
    expires_at: Option<Timestamp>,
) -> NewToken {
    NewToken {
        name: name.into(),
        scopes,
        token_hash: hash.into(),
        expires_at,
        origin: TokenOrigin::Owner,
    }
}

/// Makes a token whose secret has this hash.
pub(crate) async fn make_token(
    store: &Store,
    user: &UserId,
    name: &str,
    scopes: Scopes,
    hash: &str,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Token {
    let new = new_token(name, scopes, hash, expires_at);
    match store.create_token(user, new, now).await.unwrap() {
        CreateToken::Created(token) => token,
        refused => panic!("{refused:?}"),
    }
}

/// Deletes an account; the answer is that to closing it.
pub(crate) async fn delete(store: &Store, user: &UserId) -> CloseUser {
    let closed = store.close_user(user, at(1)).await.unwrap();
    if closed == CloseUser::Closed {
        store.empty_user(user).await.unwrap();
        store.remove_user(user).await.unwrap();
    }
    closed
}
