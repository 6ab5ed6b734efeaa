//! Cursors: where each client id that asked for a session to be kept stopped in its user's inbox.

mod decide;
pub(super) mod rows;

use std::sync::Arc;
use std::time::Duration;

use sqlx::FromRow as _;

use crate::statement::{Script, Statement};
use crate::writer::{Channel, Locks, Operation, Transaction};
use crate::{Position, Seq, Store, StoreError, Timestamp, UserId};
pub use decide::MAX_CURSORS;
pub(super) use decide::forgotten;
use decide::{Move, decide};
use rows::{Cursor, InboxRows, cursors_of, forget, put, read_cursor};

/// A cursor that was used within this time before counts as used now, so that a client that comes back costs no write.
const JUST_USED: Duration = Duration::from_secs(3600);

impl Store {
    /// Where `client_id` of `user` stopped in the inbox. If it has no cursor yet, it gets one, which is durable then, at
    /// the user's cursor, or at `acked` if that is further on: what is acknowledged and not written yet.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read or written.
    pub async fn cursor(
        &self,
        user: &UserId,
        client_id: &Arc<str>,
        acked: Seq,
        now: Timestamp,
    ) -> Result<Position, StoreError> {
        let read = Statement::new(
            "SELECT c.seq, i.last_seq, c.updated_at
             FROM cursors c JOIN inboxes i ON i.user_id = c.user_id
             WHERE c.user_id = $1 AND c.client_id = $2",
        );
        let read = read.bind(user.as_str()).bind(&**client_id);
        let found = self.readers().fetch_optional(read).await?;
        let found = found.map(|row| <(i64, i64, i64)>::from_row(&row));
        match found.transpose()? {
            Some((seq, last, used)) if now < Timestamp::from_millis(used) + JUST_USED => {
                Ok(Position {
                    acked: Seq(seq),
                    last: Seq(last),
                })
            }
            _ => {
                self.move_cursor(Move::Begin, user, client_id, acked, now)
                    .await
            }
        }
    }

    /// Moves the cursor of `client_id` of `user` to `seq`, forwards or back, durably, and returns where it is. A number
    /// above the newest counts as the newest. The user's cursor stays.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn set_cursor(
        &self,
        user: &UserId,
        client_id: &Arc<str>,
        seq: Seq,
        now: Timestamp,
    ) -> Result<Position, StoreError> {
        self.move_cursor(Move::GoTo, user, client_id, seq, now)
            .await
    }

    /// Moves the cursor of `client_id` of `user` on to `seq`, durably, and returns where it is. A number above the newest
    /// counts as the newest, and no cursor moves back. `None`: there is none for this client id. The user's cursor stays.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn skip(
        &self,
        user: &UserId,
        client_id: &Arc<str>,
        seq: Seq,
        now: Timestamp,
    ) -> Result<Option<Position>, StoreError> {
        self.write(MoveCursor {
            how: Move::GoOn,
            user: user.clone(),
            client_id: client_id.clone(),
            seq,
            now,
        })
        .await
    }

    /// Of a user who is gone, there is no position.
    async fn move_cursor(
        &self,
        how: Move,
        user: &UserId,
        client_id: &Arc<str>,
        seq: Seq,
        now: Timestamp,
    ) -> Result<Position, StoreError> {
        let moved = self.write(MoveCursor {
            how,
            user: user.clone(),
            client_id: client_id.clone(),
            seq,
            now,
        });
        Ok(moved.await?.unwrap_or(Position {
            acked: Seq::NONE,
            last: Seq::NONE,
        }))
    }
}

struct MoveCursor {
    how: Move,
    user: UserId,
    client_id: Arc<str>,
    seq: Seq,
    now: Timestamp,
}

impl Operation for MoveCursor {
    /// Where it is; `None`: there is none.
    type Output = Option<Position>;

    /// In the order in which it was asked for with acknowledgements, which move cursors, too.
    const CHANNEL: Channel = Channel::Soft;

    fn lock(&self, locks: &mut Locks) {
        locks.inbox(&self.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Self::Output, StoreError> {
        let mut script = Script::default();
        let inbox = InboxRows::add(&mut script, &[&self.user]);
        let cursors = script.add_all(cursors_of(&[&self.user]));
        let results = tx.run(script).await?;
        let Some(inbox) = inbox.read(&results)?.remove(&self.user) else {
            return Ok(None);
        };
        let cursors = results.rows(&cursors).map(read_cursor);
        let cursors = cursors.collect::<Result<Vec<_>, _>>()?;
        let Some(seq) = decide(self.how, self.seq, inbox, &cursors, &self.client_id) else {
            return Ok(None);
        };
        let cursor = Cursor {
            user: self.user.clone(),
            client_id: self.client_id.clone(),
            seq,
            used: self.now,
        };
        let mut script = Script::default();
        script.add_all(forget(&forgotten(cursors, &[&cursor]), tx.dialect()));
        script.add_all(put(&[&cursor], tx.dialect()));
        tx.defer(script).await?;
        Ok(Some(Position {
            acked: seq,
            last: inbox.last,
        }))
    }
}
