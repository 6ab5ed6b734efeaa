//! What shows in a database file only.

use herald_store::Outcome;

use crate::common::{Db, at, processed, send_many, user};
use crate::inbox::ended;
use crate::stored_bytes::stored;

#[tokio::test]
async fn what_users_send_is_stored_once() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await.id;
    let before = db.count("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
    let before = before.await;
    let body = "\u{1}".repeat(64 * 1024);
    for _ in 0..16 {
        let result = body.clone();
        ended(&db, &ann, &body, Outcome::Processed { result }).await;
    }
    let after = db.count("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
    let stored = after.await - before;
    // It was sixteen times as much: the body, the result, and both escaped.
    assert!(stored < 17 * 64 * 1024 + 64 * 1024, "{stored}");
}

/// The fixed numbers are no less than what is really there, or very many short messages would be more than the limit.
#[tokio::test]
async fn short_messages_count_for_about_as_much_as_they_take() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await.id;
    let empty = db.count("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
    let empty = empty.await;
    send_many(&db.store, &ann, 3000).await;
    loop {
        let jobs = db
            .store
            .claim(256, crate::common::LEASE, at(5000))
            .await
            .unwrap();
        if jobs.is_empty() {
            break;
        }
        let ends = jobs
            .iter()
            .map(|job| db.store.finish(job, processed(), at(5001)));
        futures_util::future::join_all(ends).await;
    }
    let full = db.count("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
    let taken = (full.await - empty) as f64;
    let counted = stored(&db.store, &ann).await as f64;
    assert!(
        (0.6..1.1).contains(&(taken / counted)),
        "{taken} of {counted}"
    );
    db.store.close().await;
}

#[tokio::test]
async fn reading_what_is_new_does_not_read_what_is_old() {
    use sqlx::{Connection as _, Row as _};

    let db = Db::new().await;
    let url = format!("sqlite://{}", db.file().display());
    let mut conn = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let plan: String = sqlx::query(
        "EXPLAIN QUERY PLAN SELECT id, kind, username, token_id FROM rights_changes
         WHERE id > 5 ORDER BY id",
    )
    .fetch_one(&mut conn)
    .await
    .unwrap()
    .get("detail");
    assert!(plan.contains("USING PRIMARY KEY (id>?)"), "{plan}");
}
