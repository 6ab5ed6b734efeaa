//! Acknowledged notifications: where each user and each client id is in an inbox.

mod decide;
mod statements;

use super::cursors::forgotten;
use super::cursors::rows::{Cursor, cursors_of, forget, put, read_cursor};
use crate::dialect::Dialect;
use crate::statement::Script;
use crate::writer::{Locks, Operation, Transaction};
use crate::{Seq, Store, StoreError, Timestamp, UserId};
pub use decide::Acknowledged;
use decide::{Acknowledge, decide};
use statements::{Reads, delivered_messages};

impl Store {
    /// Moves the cursor of each user, and that of each client id that is given, up to the number that was acknowledged.
    /// Marks the messages of those notifications that nobody had acknowledged before as delivered at `now`. No cursor
    /// moves back. What a user who does not exist acknowledged is ignored. A power failure may undo it.
    /// Much at once takes several writes: until this resolves, a user's cursor may be on its way.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn acknowledge(
        &self,
        acknowledged: &[Acknowledged],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut write = Acknowledge::new(acknowledged, now);
        while !write.users.is_empty() {
            let left = self.write(write).await?;
            write = Acknowledge {
                users: left,
                // They mark nothing, so the first write moved them all the way.
                clients: vec![],
                now,
            };
        }
        Ok(())
    }
}

impl Operation for Acknowledge {
    /// Those who are not there yet.
    type Output = Vec<(UserId, Seq)>;

    /// What is lost is delivered again.
    const DURABLE: bool = false;

    fn lock(&self, locks: &mut Locks) {
        for (user, _) in &self.users {
            locks.inbox(user);
        }
        for client in &self.clients {
            locks.inbox(&client.user);
        }
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Self::Output, StoreError> {
        let (script, reads) = Reads::of(self, tx.dialect());
        let facts = reads.facts(&tx.run(script).await?)?;
        let decision = decide(self, &facts);
        let delivered = match tx.dialect() {
            Dialect::Sqlite => vec![],
            Dialect::Postgres | Dialect::MySql => delivered_messages(tx, &decision.moves).await?,
        };
        let script = decision.writes(&delivered, self.now, tx.dialect());
        tx.defer(script).await?;
        if !decision.missing.is_empty() {
            // A cursor was deleted to make room for others although its session goes on.
            make_again(tx, &decision.missing).await?;
        }
        Ok(decision.left)
    }
}

/// Makes cursors that are not there, and keeps to the number that a user may have.
async fn make_again(tx: &mut Transaction<'_>, missing: &[Cursor]) -> Result<(), StoreError> {
    let users: Vec<_> = missing.iter().map(|cursor| &cursor.user).collect();
    let missing: Vec<_> = missing.iter().collect();
    let mut script = Script::default();
    let part = script.add_all(cursors_of(&users));
    let results = tx.run(script).await?;
    let there = results.rows(&part).map(read_cursor);
    let there = there.collect::<Result<Vec<_>, _>>()?;
    let mut script = Script::default();
    script.add_all(forget(&forgotten(there, &missing), tx.dialect()));
    script.add_all(put(&missing, tx.dialect()));
    tx.defer(script).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;
    use crate::location::Location;
    use crate::open::prepare;

    #[tokio::test]
    async fn no_write_marks_many_messages_and_all_are_marked_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let store = Store::open(options.clone()).await.unwrap();
        let location = Location::parse(options.url).unwrap();
        let (mut conn, _) = prepare(&location).await.unwrap();
        let users: Vec<UserId> = (0..3).map(|_| UserId::new()).collect();
        for user in &users {
            for sql in [
                "INSERT INTO users (id, username, role, password_hash, created_at)
                 VALUES ($1, $1, 'user', '', 0)",
                "INSERT INTO inboxes (user_id, last_seq) VALUES ($1, 2500)",
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
                 INSERT INTO messages (id, user_id, body, status, created_at, run_at)
                 SELECT $1 || i, $1, '', 'processed', 0, 0 FROM n",
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
                 INSERT INTO notifications (user_id, seq, message_id, status, attempts, created_at)
                 SELECT $1, i, $1 || i, 'processed', 1, 0 FROM n",
            ] {
                let query = sqlx::query(sql).bind(user.as_str());
                query.execute(&mut conn).await.unwrap();
            }
        }
        let all: Vec<_> = users
            .iter()
            .zip([2400, 9999, 1])
            .map(|(user, up_to)| Acknowledged {
                user: user.clone(),
                client_id: Some("phone".into()),
                up_to: Seq(up_to),
            })
            .collect();
        let now = Timestamp::from_millis(7);
        let mut marked = 0;
        let mut count = async || {
            let sql = "SELECT COUNT(*) FROM messages WHERE delivered_at = 7";
            let all: i64 = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
            all - std::mem::replace(&mut marked, all)
        };
        let first = Acknowledge::new(&all, now);
        let left = store.write(first).await.unwrap();
        assert!(left.len() >= 2, "{left:?}");
        let by_one = count().await;
        assert!((1..=decide::STEP).contains(&by_one), "{by_one}");
        let phone = "phone".into();
        let phone = store.cursor(&users[1], &phone, Seq::NONE, now).await;
        assert_eq!(phone.unwrap().acked, Seq(2500), "at once");
        store.acknowledge(&all, now).await.unwrap();
        assert_eq!(by_one + count().await, 2400 + 2500 + 1);
        for (user, acked) in users.iter().zip([2400, 2500, 1]) {
            assert_eq!(store.position(user).await.unwrap().acked, Seq(acked));
        }
        store.close().await;
    }
}
