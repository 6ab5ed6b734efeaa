//! Acknowledgements of notifications, many at once: a few statements for any number of users.

mod statements;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::AnyConnection;

use super::cursors::MAX_CURSORS;
use crate::writer::{Operation, Transaction};
use crate::{Seq, Store, StoreError, Timestamp, UserId, bulk};
use statements::{clients_made, clients_moved, delivered, oldest_forgotten, users_moved};

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

/// About how many messages one write marks. More take several writes, so that others have their turn between.
const STEP: i64 = 1000;

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
    /// Those who are not there yet.
    type Output = Vec<(UserId, Seq)>;

    /// What is lost is delivered again.
    const DURABLE: bool = false;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Self::Output, StoreError> {
        let conn = tx.connection();
        let mut left = vec![];
        let mut marked = 0;
        for users in bulk::chunks(&self.users) {
            if marked >= STEP as u64 {
                left.extend_from_slice(users);
                continue;
            }
            let step = STEP / users.len() as i64;
            // First, as it asks what was acknowledged before.
            marked += mark_delivered(conn, users, step, self.now).await?;
            left.extend(move_users(conn, users, step).await?);
        }
        for clients in bulk::chunks(&self.clients) {
            if move_clients(conn, clients, self.now).await? < clients.len() as u64 {
                // A cursor was deleted to make room for others although its session goes on, or a user is gone.
                make_again(conn, clients, self.now).await?;
            }
        }
        Ok(left)
    }
}

/// Marks what each user goes over with the next `step` numbers. Returns how many messages that are.
async fn mark_delivered(
    conn: &mut AnyConnection,
    users: &[(UserId, Seq)],
    step: i64,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut query = sqlx::query(bulk::statement(delivered(users.len())));
    query = query.bind(now.as_millis()).bind(step);
    for (user, up_to) in users {
        query = query.bind(user.as_str()).bind(up_to.0);
    }
    Ok(query.execute(conn).await?.rows_affected())
}

/// Moves each user by up to `step` numbers. Returns those who are not there yet.
async fn move_users(
    conn: &mut AnyConnection,
    users: &[(UserId, Seq)],
    step: i64,
) -> Result<Vec<(UserId, Seq)>, StoreError> {
    let sql = bulk::statement(users_moved(users.len()));
    let mut query = sqlx::query_as(sql).bind(step);
    for (user, up_to) in users {
        query = query.bind(user.as_str()).bind(up_to.0);
    }
    let moved: Vec<(String, i64, i64)> = query.fetch_all(conn).await?;
    let behind = moved.into_iter().filter(|(_, acked, last)| acked < last);
    let behind: HashMap<_, _> = behind.map(|(user, acked, _)| (user, acked)).collect();
    let is_left = |(user, up_to): &&(UserId, Seq)| {
        let acked = behind.get(user.as_str());
        acked.is_some_and(|acked| *acked < up_to.0)
    };
    Ok(users.iter().filter(is_left).cloned().collect())
}

/// Returns how many of them have a cursor.
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
        assert!((1..2 * STEP).contains(&by_one), "{by_one}");
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
