//! What the tests share: a database in a folder of its own, and a clock that stands still.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use herald_acl::{Role, Username};
use herald_store::{
    Accepted, Acknowledged, CloseUser, CreateToken, CreateUser, Delay, Finished, Job, Message,
    NewSession, NewToken, Outcome, Scopes, Seq, Store, StoreOptions, Timestamp, Token, TokenOrigin,
    User, UserId,
};
use herald_test_databases::{DatabaseKind, TestDatabase};
use sqlx::{AnyConnection, Connection, Executor};
use tempfile::TempDir;

use crate::DATABASE;

/// How long the leases of the tests last.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// The time at `millis` after the tests begin.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_795_341_600_000 + millis)
}

/// A database that goes with it, and the folder of a test's own.
pub(crate) struct Db {
    pub(crate) dir: OwnDatabase,
    pub(crate) store: Store,
}

/// A database of a test's own, and a folder.
pub(crate) struct OwnDatabase {
    folder: TempDir,
    database: TestDatabase,
}

impl OwnDatabase {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::make(DATABASE, schema(), async |url| {
            let store = Store::open(options(url)).await.unwrap();
            store.close().await;
        });
        let Some(database) = database.await else {
            // Said by then. No test of this program has anything to do.
            std::process::exit(0);
        };
        let folder = TempDir::new().unwrap();
        Self { folder, database }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        self.database.url()
    }

    /// What opens the database.
    pub(crate) fn options(&self) -> StoreOptions {
        options(self.url())
    }

    /// Opens the database, once more if it is open.
    pub(crate) async fn open(&self) -> Store {
        Store::open(self.options()).await.unwrap()
    }
}

/// The number of the template with the tables of the store: another one for other tables, as a server may outlive them.
fn schema() -> u64 {
    let folder = match DATABASE {
        DatabaseKind::Sqlite => "sqlite",
        DatabaseKind::Postgres => "postgres",
        DatabaseKind::MariaDb | DatabaseKind::MySql => "mysql",
    };
    let folder = format!("{}/../migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs::read(file).unwrap().hash(&mut hasher);
    }
    hasher.finish()
}

fn options(url: &str) -> StoreOptions {
    StoreOptions {
        url: url.into(),
        // The path counts for nothing.
        ..StoreOptions::sqlite(Path::new("/"))
    }
}

impl Db {
    /// A new one, without a delay.
    pub(crate) async fn new() -> Self {
        let dir = OwnDatabase::new().await;
        let store = dir.open().await;
        store
            .set_delay(Delay::Fixed { ms: 0 }, false)
            .await
            .unwrap();
        Self { dir, store }
    }

    pub(crate) fn file(&self) -> PathBuf {
        let url = self.dir.url();
        url.strip_prefix("sqlite://").unwrap().into()
    }

    /// What a query that counts returns.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        let mut conn = self.connect().await;
        let count = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        count
    }

    /// A connection beside the store's.
    pub(crate) async fn connect(&self) -> AnyConnection {
        AnyConnection::connect(self.dir.url()).await.unwrap()
    }

    /// Runs a statement beside the store, as an operator with a SQL shell would.
    pub(crate) async fn execute(&self, sql: &'static str) {
        let mut conn = self.connect().await;
        conn.execute(sql).await.unwrap();
        conn.close().await.unwrap();
    }

    /// Takes the lock that a write needs first.
    pub(crate) async fn lock(&self) -> Lock {
        let mut conn = self.connect().await;
        let lock = match DATABASE {
            DatabaseKind::Sqlite => "BEGIN IMMEDIATE",
            _ => "BEGIN; SELECT user_id FROM user_queues FOR UPDATE",
        };
        conn.execute(lock).await.unwrap();
        Lock(conn)
    }

    /// Another handle on the same file, as another process would have.
    pub(crate) async fn open_again(&self) -> Store {
        self.dir.open().await
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

/// The lock that a write needs first, held as another process would hold it.
pub(crate) struct Lock(AnyConnection);

impl Lock {
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
