//! A write-ahead log beside a database that is not its own: it is refused before SQLite takes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{name, user};
use herald_store::{Store, StoreError, StoreOptions, copy_database};
use sqlx::{AnyConnection, Connection as _, Executor as _};

fn log_of(file: &Path) -> PathBuf {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

async fn open(file: &Path) -> Result<Store, StoreError> {
    Store::open(StoreOptions::sqlite(file)).await
}

/// Several states of one database.
struct States {
    dir: tempfile::TempDir,
    /// Stopped cleanly, before and after.
    old: PathBuf,
    new: PathBuf,
    /// As a crash leaves it in between, with its log.
    crashed: PathBuf,
    /// A backup made at about the same moment.
    backup: PathBuf,
    /// Of somebody else.
    other: PathBuf,
}

impl States {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let live = path("live.db");
        let store = open(&live).await.unwrap();
        user(&store, "ann").await;
        store.close().await;
        let old = path("old.db");
        fs::copy(&live, &old).unwrap();

        // What is in the file when the log begins.
        let store = open(&live).await.unwrap();
        user(&store, "ben").await;
        store.close().await;
        let store = open(&live).await.unwrap();
        user(&store, "cleo").await;
        let backup = path("backup.db");
        copy_database(&live, &backup).await.unwrap();
        user(&store, "dan").await;
        let crashed = path("crashed.db");
        fs::copy(&live, &crashed).unwrap();
        fs::copy(log_of(&live), log_of(&crashed)).unwrap();
        store.close().await;
        assert!(!log_of(&live).exists(), "a clean stop leaves no log");

        let store = open(&live).await.unwrap();
        user(&store, "eve").await;
        store.close().await;
        let other = path("other.db");
        let store = open(&other).await.unwrap();
        user(&store, "ann").await;
        store.close().await;
        Self {
            dir,
            old,
            new: live,
            crashed,
            backup,
            other,
        }
    }

    /// Copies `file` into the place of the crashed database, whose log stays.
    fn restore_by_hand(&self, file: &Path) -> PathBuf {
        let place = self.dir.path().join("herald.db");
        fs::copy(file, &place).unwrap();
        fs::copy(log_of(&self.crashed), log_of(&place)).unwrap();
        place
    }
}

#[tokio::test]
async fn a_database_copied_beside_the_log_of_a_crashed_one_is_refused_and_left_as_it_is() {
    let states = States::new().await;
    for file in [&states.old, &states.new, &states.backup, &states.other] {
        let place = states.restore_by_hand(file);
        let content = || [&place, &log_of(&place)].map(|file| fs::read(file).unwrap());
        let before = content();
        let copy = states.dir.path().join("copy.db");
        let refused = open(&place).await.map(drop);
        for error in [refused, copy_database(&place, &copy).await] {
            let error = error.expect_err(&file.display().to_string());
            assert!(
                matches!(error, StoreError::ForeignLog { .. }),
                "{}: {error:?}",
                file.display()
            );
            let text = error.to_string();
            let log = log_of(&place).display().to_string();
            for part in [&place.display().to_string(), &log, "herald restore FILE"] {
                assert!(text.contains(part), "{text}");
            }
        }
        assert!(content() == before, "{}", file.display());
        // As it says.
        fs::remove_file(log_of(&place)).unwrap();
        open(&place).await.unwrap().close().await;
    }
}

#[tokio::test]
async fn a_crashed_database_and_its_log_belong_together_also_once_the_file_has_all_of_it() {
    let states = States::new().await;
    let place = states.restore_by_hand(&states.crashed);
    let url = StoreOptions::sqlite(&place).url;
    let mut conn = AnyConnection::connect(url.expose()).await.unwrap();
    conn.execute("PRAGMA wal_checkpoint").await.unwrap();
    let taken_over = states.dir.path().join("taken-over.db");
    fs::copy(&place, &taken_over).unwrap();
    conn.close().await.unwrap();
    assert!(fs::read(&taken_over).unwrap() != fs::read(&states.crashed).unwrap());
    for file in [&states.crashed, &taken_over] {
        let place = states.restore_by_hand(file);
        let store = open(&place).await.unwrap();
        let dan = store.user_by_name(&name("dan")).await.unwrap();
        assert!(dan.is_some(), "what was in the log");
        store.close().await;
    }
}

#[tokio::test]
async fn a_new_database_that_crashed_at_its_first_start_opens() {
    let dir = tempfile::tempdir().unwrap();
    let [live, crashed] = ["live.db", "crashed.db"].map(|name| dir.path().join(name));
    let store = open(&live).await.unwrap();
    user(&store, "ann").await;
    fs::copy(&live, &crashed).unwrap();
    fs::copy(log_of(&live), log_of(&crashed)).unwrap();
    open(&crashed).await.unwrap().close().await;
    store.close().await;
}

/// The log grows and starts over while others look at it.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_use_is_never_taken_for_another() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("herald.db");
    let store = open(&file).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let (writing, stop) = (store.clone(), Arc::clone(&done));
    let writer = tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            writing.ping().await.unwrap();
        }
    });
    let (url, stop) = (StoreOptions::sqlite(&file).url, Arc::clone(&done));
    let checkpoints = tokio::spawn(async move {
        let mut conn = AnyConnection::connect(url.expose()).await.unwrap();
        while !stop.load(Ordering::Relaxed) {
            // It may be locked.
            let _ = conn.execute("PRAGMA wal_checkpoint(RESTART)").await;
        }
    });
    for n in 0..60 {
        let copy = dir.path().join(format!("copy{n}.db"));
        let copied = copy_database(&file, &copy).await;
        assert!(
            !matches!(copied, Err(StoreError::ForeignLog { .. })),
            "try {n}"
        );
        let _ = fs::remove_file(&copy);
    }
    done.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    checkpoints.await.unwrap();
    store.close().await;
}
