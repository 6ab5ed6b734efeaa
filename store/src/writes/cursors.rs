//! Cursors: where each client id that asked for a session to be kept stopped in its user's inbox.

use std::sync::Arc;
use std::time::Duration;

use sqlx::AnyConnection;

use crate::writer::{Operation, Transaction};
use crate::{Position, Seq, Store, StoreError, Timestamp, UserId};

/// How many cursors a user has at most. For one more, that which was not used for longest is forgotten.
pub const MAX_CURSORS: i64 = 64;

/// A cursor that was used within this time before counts as used now, so that a client that comes back costs no write.
const JUST_USED: Duration = Duration::from_secs(3600);

/// A client id begins where its user's cursor is, or at `$3` if that is further on. One that it has stays.
const BEGIN: &str = "INSERT INTO cursors (user_id, client_id, seq, updated_at)
    SELECT user_id, $2, CASE
        WHEN acked_seq >= $3 THEN acked_seq
        WHEN last_seq < $3 THEN last_seq
        ELSE $3 END, $4
    FROM inboxes WHERE user_id = $1
    ON CONFLICT (user_id, client_id) DO UPDATE SET updated_at = excluded.updated_at";

/// A client id goes to `$3`, wherever it was.
const GO_TO: &str = "INSERT INTO cursors (user_id, client_id, seq, updated_at)
    SELECT user_id, $2, CASE WHEN last_seq < $3 THEN last_seq WHEN $3 < 0 THEN 0 ELSE $3 END, $4
    FROM inboxes WHERE user_id = $1
    ON CONFLICT (user_id, client_id) DO UPDATE
    SET seq = excluded.seq, updated_at = excluded.updated_at";

/// A client id goes on to `$3`, if it has a cursor that is not further on.
const GO_ON_TO: &str = "UPDATE cursors SET updated_at = $4, seq = CASE
        WHEN cursors.seq >= $3 THEN cursors.seq
        WHEN i.last_seq < $3 THEN i.last_seq
        ELSE $3 END
    FROM inboxes i
    WHERE i.user_id = cursors.user_id AND cursors.user_id = $1 AND cursors.client_id = $2";

/// Where a client id is.
const WHERE: &str =
    "SELECT c.seq, i.last_seq FROM cursors c JOIN inboxes i ON i.user_id = c.user_id
    WHERE c.user_id = $1 AND c.client_id = $2";

/// Forgets all cursors of `$1` but that of `$2` and the `$3` others that were used last.
const FORGET: &str = "DELETE FROM cursors
    WHERE user_id = $1 AND client_id <> $2 AND client_id NOT IN (
        SELECT client_id FROM cursors WHERE user_id = $1 AND client_id <> $2
        ORDER BY updated_at DESC, client_id LIMIT $3)";

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
        let found: Option<(i64, i64, i64)> = sqlx::query_as(
            "SELECT c.seq, i.last_seq, c.updated_at
             FROM cursors c JOIN inboxes i ON i.user_id = c.user_id
             WHERE c.user_id = $1 AND c.client_id = $2",
        )
        .bind(user.as_str())
        .bind(&**client_id)
        .fetch_optional(self.readers().pool())
        .await?;
        match found {
            Some((seq, last, used)) if now < Timestamp::from_millis(used) + JUST_USED => {
                Ok(Position {
                    acked: Seq(seq),
                    last: Seq(last),
                })
            }
            _ => self.put(BEGIN, user, client_id, acked, now).await,
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
        self.put(GO_TO, user, client_id, seq, now).await
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
        self.write(Skip {
            user: user.clone(),
            client_id: client_id.clone(),
            seq,
            now,
        })
        .await
    }

    async fn put(
        &self,
        how: &'static str,
        user: &UserId,
        client_id: &Arc<str>,
        seq: Seq,
        now: Timestamp,
    ) -> Result<Position, StoreError> {
        self.write(PutCursor {
            how,
            user: user.clone(),
            client_id: client_id.clone(),
            seq,
            now,
        })
        .await
    }
}

struct PutCursor {
    /// [`BEGIN`] or [`GO_TO`].
    how: &'static str,
    user: UserId,
    client_id: Arc<str>,
    seq: Seq,
    now: Timestamp,
}

impl Operation for PutCursor {
    type Output = Position;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Position, StoreError> {
        let conn = tx.connection();
        sqlx::query(self.how)
            .bind(self.user.as_str())
            .bind(&*self.client_id)
            .bind(self.seq.0)
            .bind(self.now.as_millis())
            .execute(&mut *conn)
            .await?;
        sqlx::query(FORGET)
            .bind(self.user.as_str())
            .bind(&*self.client_id)
            .bind(MAX_CURSORS - 1)
            .execute(&mut *conn)
            .await?;
        // Of a user who is gone, there is none.
        let found = find(conn, &self.user, &self.client_id).await?;
        Ok(found.unwrap_or(Position {
            acked: Seq::NONE,
            last: Seq::NONE,
        }))
    }
}

struct Skip {
    user: UserId,
    client_id: Arc<str>,
    seq: Seq,
    now: Timestamp,
}

impl Operation for Skip {
    type Output = Option<Position>;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Self::Output, StoreError> {
        let conn = tx.connection();
        sqlx::query(GO_ON_TO)
            .bind(self.user.as_str())
            .bind(&*self.client_id)
            .bind(self.seq.0)
            .bind(self.now.as_millis())
            .execute(&mut *conn)
            .await?;
        find(conn, &self.user, &self.client_id).await
    }
}

async fn find(
    conn: &mut AnyConnection,
    user: &UserId,
    client_id: &str,
) -> Result<Option<Position>, StoreError> {
    let row: Option<(i64, i64)> = sqlx::query_as(WHERE)
        .bind(user.as_str())
        .bind(client_id)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|(seq, last)| Position {
        acked: Seq(seq),
        last: Seq(last),
    }))
}
