//! Texts that are more in all than a statement may hold.

use futures_util::future::{join_all, try_join_all};
use herald_store::{Accepted, Outcome};

use crate::common::{Db, LEASE, at, user};

/// Together more than MariaDB takes at once, which is 16 MiB.
const MANY: usize = 96;
const BYTES: usize = 256 * 1024;

fn text(number: usize, letter: &str) -> String {
    format!("{number} {}", letter.repeat(BYTES))
}

#[tokio::test]
async fn many_long_texts_are_written_at_once() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await.id;
    let sends = (0..MANY).map(|n| db.store.accept(&ann, text(n, "b"), None, at(0)));
    let sent = try_join_all(sends).await.unwrap();
    assert!(sent.iter().all(|one| matches!(one, Accepted::New(_))));

    let jobs = db.store.claim(MANY as u32, LEASE, at(1)).await.unwrap();
    assert_eq!(jobs.len(), MANY);
    let finishes = jobs.iter().enumerate().map(|(number, job)| {
        let outcome = match number % 2 {
            0 => Outcome::Processed {
                result: text(number, "r"),
            },
            _ => Outcome::Dead {
                error: text(number, "e"),
            },
        };
        db.store.finish(job, outcome, at(2))
    });
    let finished = join_all(finishes).await;
    assert!(finished.into_iter().all(|one| one.unwrap().is_some()));

    for (number, job) in jobs.iter().enumerate() {
        let message = db.store.message(&ann, &job.id).await.unwrap().unwrap();
        assert_eq!(message.body, job.body);
        let (result, error) = match number % 2 {
            0 => (Some(text(number, "r")), None),
            _ => (None, Some(text(number, "e"))),
        };
        assert!(message.result == result && message.error == error);
    }
}
