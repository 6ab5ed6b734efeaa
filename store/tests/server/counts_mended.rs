//! Counts that have come to be wrong, as after statements by hand, which no trigger counts on MariaDB and MySQL.

use futures_util::future::join_all;
use herald_store::StatusCounts;
use herald_test_databases::DatabaseKind;

use crate::DATABASE;
use crate::common::{Db, LEASE, at, notify, processed, send_many, user};

/// What is counted is put wrong: a message goes, another one changes, and numbers are made up.
const DRIFT: [&str; 3] = [
    "DELETE FROM messages WHERE status = 'processed' LIMIT 1",
    "UPDATE messages SET status = 'dead', processed_at = 0 WHERE status = 'queued' LIMIT 1",
    "INSERT INTO message_counts (status, backend, count) VALUES ('cancelled', 999, 7), ('queued', 999, -40)",
];

async fn drifted() -> Option<Db> {
    if DATABASE == DatabaseKind::Postgres {
        return None;
    }
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    notify(&db.store, &ann.id, 3).await;
    send_many(&db.store, &ann.id, 5).await;
    for sql in DRIFT {
        db.execute(sql).await;
    }
    Some(db)
}

#[tokio::test]
async fn counts_are_what_there_is_again() {
    let Some(db) = drifted().await else { return };
    // 1 that is gone, 1 dead, 7 that never were, and 40 and 1 of those that wait.
    assert_eq!(db.store.mend_counts().await.unwrap(), 1 + 1 + 7 + 39);
    let counts = StatusCounts {
        queued: 4,
        processed: 2,
        dead: 1,
        ..StatusCounts::default()
    };
    assert_eq!(db.store.counts().await.unwrap(), counts);
    assert_eq!(db.store.mend_counts().await.unwrap(), 0);
}

#[tokio::test]
async fn of_several_servers_that_mend_at_once_one_does() {
    let Some(db) = drifted().await else { return };
    let stores = join_all((0..4).map(|_| db.open_again())).await;
    let mended = join_all(stores.iter().map(|store| store.mend_counts())).await;
    let mended = mended.into_iter().map(Result::unwrap);
    assert_eq!(mended.sum::<u64>(), 48);
    assert_eq!(db.store.counts().await.unwrap().queued, 4);
}

/// What others write meanwhile is counted once.
#[tokio::test]
async fn counts_are_mended_while_messages_come_and_go() {
    let Some(db) = drifted().await else { return };
    let other = db.open_again().await;
    let bob = user(&other, "bob").await;
    let work = async {
        for _ in 0..20 {
            send_many(&other, &bob.id, 3).await;
            for job in other.claim(2, LEASE, at(9)).await.unwrap() {
                other.finish(&job, processed(), at(9)).await.unwrap();
            }
        }
    };
    let mend = async {
        for n in 0..20 {
            // By its key: it would lock what others count in otherwise.
            let wrong = "UPDATE message_counts SET count = count + 1
                WHERE status = 'cancelled' AND backend = 999";
            db.execute(wrong).await;
            assert!(db.store.mend_counts().await.unwrap() > 0, "{n}");
        }
    };
    tokio::join!(work, mend);
    let counts = db.store.counts().await.unwrap();
    for (status, counted) in [
        ("SELECT COUNT(*) FROM messages WHERE status = 'queued'", counts.queued),
        ("SELECT COUNT(*) FROM messages WHERE status = 'processing'", counts.processing),
        ("SELECT COUNT(*) FROM messages WHERE status = 'processed'", counts.processed),
        ("SELECT COUNT(*) FROM messages WHERE status = 'cancelled'", counts.cancelled),
    ] {
        assert_eq!(db.count(status).await as u64, counted, "{status}");
    }
}
