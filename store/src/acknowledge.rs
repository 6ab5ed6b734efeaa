//! Acknowledgements of notifications, many at once: a few statements for any number of users.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::AnyConnection;

use crate::cursors::MAX_CURSORS;
use crate::writer::Operation;
use crate::{Seq, Store, StoreError, Timestamp, UserId, bulk};

/// Everything up to a number, acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Whose inbox it is.
    pub user: UserId,
    /// Which client it was, if the inbox is to remember where it stopped.
    pub client_id: Option<Arc<str>>,
    /// The number. One above the newest counts as the newest; 0 and less acknowledge nothing.
    pub up_to: Seq,
}

impl Store {
    /// Moves the cursor of each user, and that of each client id that is given, up to the number that was acknowledged.
    /// Marks the messages of those notifications that nobody had acknowledged before as delivered at `now`. No cursor
    /// moves back. What a user who does not exist acknowledged is ignored. A power failure may undo it.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn acknowledge(
        &self,
        acknowledged: &[Acknowledged],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let write = Acknowledge::new(acknowledged, now);
        if write.users.is_empty() {
            return Ok(());
        }
        self.write(write).await
    }
}

/// Each user and each client id once, with the highest number.
struct Acknowledge {
    users: Vec<(UserId, Seq)>,
    clients: Vec<Client>,
    now: Timestamp,
}

struct Client {
    user: UserId,
    id: Arc<str>,
    up_to: Seq,
}

impl Acknowledge {
    fn new(acknowledged: &[Acknowledged], now: Timestamp) -> Self {
        let (mut users, mut clients) = (BTreeMap::new(), BTreeMap::new());
        for one in acknowledged.iter().filter(|one| one.up_to > Seq::NONE) {
            let highest = users.entry(&one.user).or_insert(one.up_to);
            *highest = one.up_to.max(*highest);
            if let Some(id) = &one.client_id {
                let highest = clients.entry((&one.user, id)).or_insert(one.up_to);
                *highest = one.up_to.max(*highest);
            }
        }
        let owned = |((user, id), up_to): ((&UserId, &Arc<str>), Seq)| Client {
            user: user.clone(),
            id: id.clone(),
            up_to,
        };
        Self {
            users: users.into_iter().map(|(u, seq)| (u.clone(), seq)).collect(),
            clients: clients.into_iter().map(owned).collect(),
            now,
        }
    }
}

impl Operation for Acknowledge {
    type Answer = ();

    /// What is lost is delivered again.
    const DURABLE: bool = false;

    async fn run(&self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        for users in bulk::chunks(&self.users) {
            // First, as it asks what was acknowledged before.
            mark_delivered(conn, users, self.now).await?;
            move_users(conn, users).await?;
        }
        for clients in bulk::chunks(&self.clients) {
            if move_clients(conn, clients, self.now).await? < clients.len() as u64 {
                // A session goes on whose cursor made room for others, or a user is gone.
                make_again(conn, clients, self.now).await?;
            }
        }
        Ok(())
    }
}

async fn mark_delivered(
    conn: &mut AnyConnection,
    users: &[(UserId, Seq)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut query = sqlx::query(bulk::statement(delivered(users.len()))).bind(now.as_millis());
    for (user, up_to) in users {
        query = query.bind(user.as_str()).bind(up_to.0);
    }
    query.execute(conn).await?;
    Ok(())
}

async fn move_users(conn: &mut AnyConnection, users: &[(UserId, Seq)]) -> Result<(), StoreError> {
    let mut query = sqlx::query(bulk::statement(users_moved(users.len())));
    for (user, up_to) in users {
        query = query.bind(user.as_str()).bind(up_to.0);
    }
    query.execute(conn).await?;
    Ok(())
}

/// Answers how many of them have a cursor.
async fn move_clients(
    conn: &mut AnyConnection,
    clients: &[Client],
    now: Timestamp,
) -> Result<u64, StoreError> {
    of_clients(conn, clients_moved(clients.len()), clients, now).await
}

/// Makes the cursors that are not there, and keeps to the number that a user may have.
async fn make_again(
    conn: &mut AnyConnection,
    clients: &[Client],
    now: Timestamp,
) -> Result<(), StoreError> {
    of_clients(conn, clients_made(clients.len()), clients, now).await?;
    let mut query = sqlx::query(bulk::statement(oldest_forgotten(clients.len())));
    query = query.bind(MAX_CURSORS);
    for client in clients {
        query = query.bind(client.user.as_str());
    }
    query.execute(conn).await?;
    Ok(())
}

async fn of_clients(
    conn: &mut AnyConnection,
    sql: String,
    clients: &[Client],
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut query = sqlx::query(bulk::statement(sql)).bind(now.as_millis());
    for client in clients {
        query = query.bind(client.user.as_str());
        query = query.bind(&*client.id).bind(client.up_to.0);
    }
    Ok(query.execute(conn).await?.rows_affected())
}

// The CROSS JOINs tell SQLite to begin with the few that acknowledged, not with all there are.

fn delivered(rows: usize) -> String {
    format!(
        "WITH v (user_id, up_to) AS (VALUES {})
         UPDATE messages SET delivered_at = $1
         WHERE delivered_at IS NULL AND id IN (
            SELECT n.message_id FROM v CROSS JOIN users u CROSS JOIN notifications n
            WHERE u.id = v.user_id AND n.user_id = u.id
                AND n.seq > u.acked_seq AND n.seq <= v.up_to)",
        bulk::rows(rows, 2, 2)
    )
}

fn users_moved(rows: usize) -> String {
    format!(
        "WITH v (user_id, up_to) AS (VALUES {})
         UPDATE users
         SET acked_seq = CASE WHEN last_seq < v.up_to THEN last_seq ELSE v.up_to END
         FROM v WHERE users.id = v.user_id AND acked_seq < v.up_to",
        bulk::rows(rows, 2, 1)
    )
}

fn clients_moved(rows: usize) -> String {
    format!(
        "WITH v (user_id, client_id, up_to) AS (VALUES {})
         UPDATE cursors SET updated_at = $1, seq = CASE
            WHEN cursors.seq >= v.up_to THEN cursors.seq
            WHEN u.last_seq < v.up_to THEN u.last_seq
            ELSE v.up_to END
         FROM v CROSS JOIN users u
         WHERE u.id = v.user_id
            AND cursors.user_id = v.user_id AND cursors.client_id = v.client_id",
        bulk::rows(rows, 3, 2)
    )
}

fn clients_made(rows: usize) -> String {
    format!(
        "WITH v (user_id, client_id, up_to) AS (VALUES {})
         INSERT INTO cursors (user_id, client_id, seq, updated_at)
         SELECT u.id, v.client_id,
            CASE WHEN u.last_seq < v.up_to THEN u.last_seq ELSE v.up_to END, $1
         FROM v CROSS JOIN users u WHERE u.id = v.user_id
         ON CONFLICT (user_id, client_id) DO NOTHING",
        bulk::rows(rows, 3, 2)
    )
}

fn oldest_forgotten(rows: usize) -> String {
    format!(
        "WITH v (user_id) AS (VALUES {})
         DELETE FROM cursors WHERE (user_id, client_id) IN (
            SELECT user_id, client_id FROM (
                SELECT user_id, client_id, ROW_NUMBER() OVER (
                    PARTITION BY user_id ORDER BY updated_at DESC, client_id) AS place
                FROM cursors WHERE user_id IN (SELECT user_id FROM v)) AS ranked
            WHERE place > $1)",
        bulk::rows(rows, 1, 2)
    )
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;
    use crate::StoreOptions;
    use crate::open::Location;

    /// However large a table is, a batch reads what it is about.
    #[tokio::test]
    async fn no_statement_reads_a_whole_table() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let location = Location::parse(options.url).unwrap();
        let (mut conn, _) = location.prepare().await.unwrap();
        for rows in [1, 64] {
            for sql in [
                delivered(rows),
                users_moved(rows),
                clients_moved(rows),
                clients_made(rows),
                oldest_forgotten(rows),
            ] {
                let explain = bulk::statement(format!("EXPLAIN QUERY PLAN {sql}"));
                let plan = sqlx::query(explain).fetch_all(&mut conn).await.unwrap();
                for step in plan {
                    let step: String = step.get("detail");
                    for table in ["users", "u", "messages", "notifications", "n", "cursors"] {
                        let scans = format!("{step} ").contains(&format!("SCAN {table} "));
                        assert!(!scans, "{step}: {sql}");
                    }
                }
            }
        }
    }
}
