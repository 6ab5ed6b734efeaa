//! The file gives back the room of what was deleted.

use std::time::{Duration, Instant};

use herald_store::{Shrunk, Store, StoreOptions, copy_database};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::common::{Db, at, delete, send, user};

/// Twelve megabytes of messages of one user, and one of another.
async fn filled(db: &Db) -> (herald_store::UserId, herald_store::UserId) {
    let (ann, bob) = (
        user(&db.store, "ann").await.id,
        user(&db.store, "bob").await.id,
    );
    let body = "x".repeat(60_000);
    for _ in 0..20 {
        let sends = (0..10).map(|_| send(&db.store, &ann, &body, at(0)));
        futures_util::future::join_all(sends).await;
    }
    send(&db.store, &bob, "kept", at(0)).await;
    (ann, bob)
}

fn size(db: &Db) -> u64 {
    db.file().metadata().unwrap().len()
}

#[tokio::test]
async fn the_file_is_shorter_soon_after_an_account_is_deleted_and_sends_go_on() {
    let db = Db::new().await;
    let (ann, bob) = filled(&db).await;
    delete(&db.store, &ann).await;
    let full = size(&db);
    assert!(full > 10_000_000, "{full}");
    let sending = async {
        for n in 0..20 {
            send(&db.store, &bob, &n.to_string(), at(n)).await;
        }
    };
    let (shrunk, ()) = tokio::join!(db.store.shrink(), sending);
    let shrunk = shrunk.unwrap();
    assert!(shrunk.bytes > 9_000_000 && !shrunk.is_fixed, "{shrunk:?}");
    // It is shorter once the log is written back.
    let deadline = Instant::now() + Duration::from_secs(20);
    while size(&db) > full / 2 {
        assert!(Instant::now() < deadline, "{} of {full}", size(&db));
        db.execute("PRAGMA wal_checkpoint").await;
    }
    let kept = db.store.messages(&bob, None, None, 50).await.unwrap();
    assert_eq!(kept.items.len(), 21);
    // Nothing more is to be given back.
    assert_eq!(db.store.shrink().await.unwrap(), Shrunk::default());
    db.store.close().await;
    assert_eq!(
        db.count("SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_file_of_a_version_before_is_left_as_it_is_and_its_copy_can_be_shrunk() {
    let dir = tempfile::tempdir().unwrap();
    let (file, copy) = (dir.path().join("herald.db"), dir.path().join("copy.db"));
    std::fs::write(&file, "").unwrap();
    let url = format!("sqlite://{}", file.display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    conn.execute("PRAGMA journal_mode = WAL; CREATE TABLE old (body TEXT)")
        .await
        .unwrap();
    conn.execute("INSERT INTO old SELECT hex(zeroblob(30000)) FROM pragma_function_list LIMIT 120")
        .await
        .unwrap();
    conn.execute("DROP TABLE old").await.unwrap();
    conn.close().await.unwrap();
    let store = Store::open(StoreOptions::sqlite(&file)).await.unwrap();
    let shrunk = store.shrink().await.unwrap();
    assert_eq!(
        shrunk,
        Shrunk {
            bytes: 0,
            is_fixed: true
        }
    );
    store.close().await;

    copy_database(&file, &copy).await.unwrap();
    assert!(copy.metadata().unwrap().len() < 1_000_000);
    let url = format!("sqlite://{}", copy.display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    let mode: i64 = sqlx::query_scalar("PRAGMA auto_vacuum")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(mode, 2);
}
