//! Texts that are more in all than a statement may hold.

use futures_util::future::{join_all, try_join_all};
use herald_store::{Accepted, Acknowledged, Outcome, Seq};

use crate::common::{Db, LEASE, at, notify, user};

/// Together more than MariaDB takes at once, which is 16 MiB.
const MANY: usize = 66;

/// How many end at once: what is done between the statements of a transaction takes a while with so much text, and no server waits
/// for long.
const ENDING: usize = 34;
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
    let mut finishes = finishes.peekable();
    while finishes.peek().is_some() {
        let finished = join_all(finishes.by_ref().take(ENDING)).await;
        assert!(finished.into_iter().all(|one| one.unwrap().is_some()));
    }

    for (number, job) in jobs.iter().enumerate() {
        let message = db.store.message(&ann, &job.id).await.unwrap().unwrap();
        assert_eq!(message.body, job.body);
        let (result, error) = match number % 2 {
            0 => (Some(text(number, "r")), None),
            _ => (None, Some(text(number, "e"))),
        };
        let bytes = |text: &Option<String>| text.as_ref().map(String::len);
        let (found, wanted) = ((&message.result, &message.error), (&result, &error));
        assert_eq!(
            (bytes(found.0), bytes(found.1)),
            (bytes(wanted.0), bytes(wanted.1)),
            "{number}"
        );
        assert!(found == wanted, "{number}");
    }
}

/// Short ones first, and all together: a database may remember how long the first ones were.
#[tokio::test]
async fn keys_may_have_any_length_up_to_their_longest() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await.id;
    notify(&db.store, &ann, 3).await;
    let lengths = [1, 2, 63, 64, 65, 127, 128, 254, 255];
    let accept = |length: usize, body: &str| {
        let key = Some("k".repeat(length));
        db.store.accept(&ann, body.to_owned(), key, at(0))
    };
    for length in lengths {
        let new = accept(length, "one").await.unwrap();
        assert!(matches!(new, Accepted::New(_)), "{length}");
        let again = accept(length, "one").await.unwrap();
        assert!(matches!(again, Accepted::Existing(_)), "{length}");
    }
    let together = try_join_all(lengths.map(|length| accept(length, "two")));
    let together = together.await.unwrap();
    assert!(together.iter().all(|one| *one == Accepted::KeyConflict));

    let ids = lengths.into_iter().chain([256]).map(|length| "c".repeat(length).into());
    let ids: Vec<std::sync::Arc<str>> = ids.collect();
    let acknowledged = |id: &std::sync::Arc<str>, up_to| Acknowledged {
        user: ann.clone(),
        client_id: Some(id.clone()),
        up_to: Seq(up_to),
    };
    for id in &ids {
        db.store.cursor(&ann, id, Seq::NONE, at(0)).await.unwrap();
        let one = [acknowledged(id, 1)];
        db.store.acknowledge(&one, at(1)).await.unwrap();
    }
    for up_to in 1..=3 {
        let all: Vec<_> = ids.iter().map(|id| acknowledged(id, up_to)).collect();
        db.store.acknowledge(&all, at(2)).await.unwrap();
        for id in &ids {
            let cursor = db.store.cursor(&ann, id, Seq::NONE, at(3)).await.unwrap();
            assert_eq!(cursor.acked, Seq(up_to), "{}", id.len());
        }
    }
}
