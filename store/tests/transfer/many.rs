//! A large database.

use std::time::Instant;

use herald_store::{Seq, Timestamp, TransferProgress};
use herald_test_databases::DatabaseKind;
use rstest::rstest;

use crate::common::{Halted, copy, empty, file_with, open};

/// 100 users with 1,000 messages each, of which each tenth waits and all others have their notification.
const MANY: &str = "
WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 99)
INSERT INTO users (id, username, role, password_hash, created_at)
SELECT printf('u%03d', n), printf('user%d', n), 'user', 'x', 1 FROM n;
INSERT INTO inboxes (user_id, last_seq, acked_seq) SELECT id, 900, 450 FROM users;
INSERT INTO user_queues (user_id, open, turn_at) SELECT id, 100, 10 FROM users;
WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 99999)
INSERT INTO messages (id, user_id, body, status, attempts, created_at, run_at, processed_at)
SELECT printf('m%06d', n), printf('u%03d', n % 100), 'the body of a message, as long as many are: ' || n,
    CASE n / 100 % 10 WHEN 0 THEN 'queued' ELSE 'processed' END, 1, n, n + 10,
    CASE n / 100 % 10 WHEN 0 THEN NULL ELSE n + 20 END
FROM n;
INSERT INTO notifications (user_id, seq, message_id, status, attempts, created_at)
SELECT user_id, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY id), id, 'processed', 1, 1
FROM messages WHERE status = 'processed' ORDER BY user_id, id;
";

#[rstest]
#[tokio::test]
async fn a_hundred_thousand_messages_are_copied(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
) {
    let Some(to) = empty(kind).await else {
        return;
    };
    let from = file_with(MANY).await;
    // What an interrupted copy has left goes piece by piece.
    let far = |one: TransferProgress| one.table == "messages" && one.rows > 12_000;
    drop(Halted::at(&from, &to, far).await);
    let begun = Instant::now();
    let copied = copy(&from, &to).await.unwrap();
    eprintln!(
        "{} rows to {kind} in {:.1?}",
        copied.rows(),
        begun.elapsed()
    );
    assert_eq!(copied.rows_of("messages"), 100_000);
    assert_eq!(copied.rows_of("notifications"), 90_000);
    let store = open(&to).await.unwrap();
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.queued, counts.processed), (10_000, 90_000));
    let user = store.list_users(None, 1).await.unwrap().items.remove(0);
    let position = store.position(&user.id).await.unwrap();
    assert_eq!((position.acked, position.last), (Seq(450), Seq(900)));
    assert_eq!(
        store.oldest_due().await.unwrap(),
        Some(Timestamp::from_millis(10))
    );
}
