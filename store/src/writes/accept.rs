//! Messages that are accepted.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};
use std::time::Duration;

use herald_acl::Username;
use sqlx::{AnyConnection, Row};

use super::stored_bytes;
use super::user_queues::UserQueueChanges;
use crate::messages::{COLUMNS, message};
use crate::reads::delays::stored_delay;
use crate::users::parse_username;
use crate::writer::Operation;
use crate::{Delay, Message, MessageId, Status, Store, StoreError, Timestamp, UserId, bulk};

/// What came of [`Store::accept`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// The message was accepted and is durable.
    New(Message),
    /// The user sent this body with this idempotency key before; this is that message.
    Existing(Message),
    /// The user sent another body with this idempotency key before.
    KeyConflict,
    /// The user has as many messages that have not ended as [`StoreOptions::waiting_messages`](crate::StoreOptions)
    /// allows.
    TooManyWaiting,
    /// With it, more would be kept of the user than [`StoreOptions::stored_bytes`](crate::StoreOptions) allows.
    TooMuchStored,
}

impl Store {
    /// Accepts a message of `user`, to be worked on after the delay that is set. Wakes the worker.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] at once if too many writes are waiting, [`StoreError::UnknownUser`] if
    /// there is no such account, another [`StoreError`] if it cannot be written.
    pub async fn accept(
        &self,
        user: &UserId,
        body: String,
        idempotency_key: Option<String>,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        let accept = self.new_accept(user, body, idempotency_key, now);
        self.try_write(accept).await?.ok_or(StoreError::UnknownUser)
    }

    /// As [`accept`](Self::accept), but if too many writes are waiting, waits for room for a while before it fails with
    /// [`StoreError::Busy`]: for senders that can be held back.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn accept_patiently(
        &self,
        user: &UserId,
        body: String,
        idempotency_key: Option<String>,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        let accept = self.new_accept(user, body, idempotency_key, now);
        self.write(accept).await?.ok_or(StoreError::UnknownUser)
    }

    fn new_accept(
        &self,
        user: &UserId,
        body: String,
        idempotency_key: Option<String>,
        now: Timestamp,
    ) -> Accept {
        Accept {
            user: user.clone(),
            body,
            idempotency_key,
            now,
            max_open: i64::from(self.waiting_messages()),
            max_stored: self
                .stored_bytes_limit()
                .map_or(i64::MAX, |limit| limit.try_into().unwrap_or(i64::MAX)),
        }
    }
}

struct Accept {
    user: UserId,
    body: String,
    idempotency_key: Option<String>,
    now: Timestamp,
    max_open: i64,
    max_stored: i64,
}

impl Accept {
    /// What distinguishes a repeat from another message.
    fn key(&self) -> Option<Key> {
        let key = self.idempotency_key.clone()?;
        Some((self.user.clone(), key))
    }

    fn message(&self, sender: &Sender) -> Message {
        let delay = sender.delay.sample(&mut rand::rng());
        Message {
            // Made here, so that ids are in the order of the commits.
            id: MessageId::new(),
            user_id: self.user.clone(),
            username: sender.username.clone(),
            body: self.body.clone(),
            status: Status::Queued,
            result: None,
            error: None,
            attempts: 0,
            created_at: self.now,
            run_at: self.now + Duration::from_millis(delay),
            processed_at: None,
            delivered_at: None,
        }
    }

    /// What comes of a repeat of `earlier`.
    fn repeat(&self, earlier: &Message) -> Accepted {
        if earlier.body == self.body {
            Accepted::Existing(earlier.clone())
        } else {
            Accepted::KeyConflict
        }
    }
}

impl Operation for Accept {
    /// `None` if there is no such account.
    type Output = Option<Accepted>;

    async fn run(&self, conn: &mut AnyConnection) -> Result<Option<Accepted>, StoreError> {
        let mut outputs = Self::run_all(&[self], conn).await?;
        Ok(outputs.pop().flatten())
    }

    async fn run_all(
        all: &[&Self],
        conn: &mut AnyConnection,
    ) -> Result<Vec<Option<Accepted>>, StoreError> {
        let mut senders = senders(conn, all).await?;
        let mut by_key = sent_before(conn, all).await?;
        let mut new = Vec::with_capacity(all.len());
        let mut queues = UserQueueChanges::default();
        let mut outputs = Vec::with_capacity(all.len());
        for accept in all {
            let Some(sender) = senders.get_mut(&accept.user) else {
                outputs.push(None);
                continue;
            };
            let vacant = match accept.key().map(|key| by_key.entry(key)) {
                Some(Entry::Occupied(earlier)) => {
                    outputs.push(Some(accept.repeat(earlier.get())));
                    continue;
                }
                Some(Entry::Vacant(vacant)) => Some(vacant),
                None => None,
            };
            if sender.open >= accept.max_open {
                outputs.push(Some(Accepted::TooManyWaiting));
                continue;
            }
            let bytes = stored_bytes::of_message(&accept.body, accept.idempotency_key.as_deref());
            if sender.stored + bytes > accept.max_stored {
                outputs.push(Some(Accepted::TooMuchStored));
                continue;
            }
            sender.open += 1;
            sender.stored += bytes;
            let message = accept.message(sender);
            if let Some(vacant) = vacant {
                vacant.insert(message.clone());
            }
            queues.open(&accept.user, 1);
            queues.stored(&accept.user, bytes);
            queues.queued(&accept.user, message.run_at);
            new.push((message.id.clone(), message.run_at, *accept));
            outputs.push(Some(Accepted::New(message)));
        }
        insert(conn, &new).await?;
        queues.write(conn).await?;
        Ok(outputs)
    }

    fn wakes_worker(&self, accepted: &Option<Accepted>) -> bool {
        matches!(accepted, Some(Accepted::New(_)))
    }
}

/// What has to be known of a user who sends.
struct Sender {
    username: Username,
    delay: Delay,
    open: i64,
    stored: i64,
}

async fn senders(
    conn: &mut AnyConnection,
    all: &[&Accept],
) -> Result<HashMap<UserId, Sender>, StoreError> {
    let users: BTreeSet<_> = all.iter().map(|accept| accept.user.as_str()).collect();
    let users: Vec<_> = users.into_iter().collect();
    let mut senders = HashMap::with_capacity(users.len());
    for chunk in bulk::padded(&users) {
        let text = format!(
            "SELECT u.id, u.username, COALESCE(l.open, 0) AS open, COALESCE(l.stored_bytes, 0) AS stored_bytes,
                COALESCE(u.delay, (SELECT value FROM settings WHERE key = 'delay')) AS delay
             FROM users u LEFT JOIN user_queues l ON l.user_id = u.id WHERE u.id IN ({})",
            bulk::list(chunk.len(), 1)
        );
        let mut query = sqlx::query(bulk::statement(text));
        for user in chunk {
            query = query.bind(user.copied());
        }
        for row in query.fetch_all(&mut *conn).await? {
            let sender = Sender {
                username: parse_username(row.try_get("username")?)?,
                delay: stored_delay(row.try_get("delay")?)?,
                open: row.try_get("open")?,
                stored: row.try_get("stored_bytes")?,
            };
            let id: String = row.try_get("id")?;
            senders.insert(UserId::from_string(id), sender);
        }
    }
    Ok(senders)
}

/// A user and an idempotency key.
type Key = (UserId, String);

/// The messages that were sent before with the keys of `all`.
async fn sent_before(
    conn: &mut AnyConnection,
    all: &[&Accept],
) -> Result<HashMap<Key, Message>, StoreError> {
    let keys: Vec<Key> = all.iter().filter_map(|accept| accept.key()).collect();
    let mut found = HashMap::with_capacity(keys.len());
    for chunk in bulk::padded(&keys) {
        let text = format!(
            "WITH sent (user_id, key) AS (VALUES {})
             SELECT {COLUMNS}, m.idempotency_key
             FROM sent
             JOIN messages m ON m.user_id = sent.user_id AND m.idempotency_key = sent.key",
            bulk::rows(chunk.len(), 2, 1)
        );
        let mut query = sqlx::query(bulk::statement(text));
        for sent in chunk {
            query = query
                .bind(sent.map(|(user, _)| user.as_str()))
                .bind(sent.map(|(_, key)| key.as_str()));
        }
        for row in query.fetch_all(&mut *conn).await? {
            let message = message(&row)?;
            let key = row.try_get("idempotency_key")?;
            found.insert((message.user_id.clone(), key), message);
        }
    }
    Ok(found)
}

async fn insert(
    conn: &mut AnyConnection,
    new: &[(MessageId, Timestamp, &Accept)],
) -> Result<(), StoreError> {
    for chunk in bulk::padded(new) {
        let text = format!(
            "WITH new (id, user_id, body, idempotency_key, created_at, run_at) AS (VALUES {})
             INSERT INTO messages (id, user_id, body, idempotency_key, status, created_at, run_at)
             SELECT id, user_id, body, idempotency_key, 'queued', created_at, run_at
             FROM new WHERE id IS NOT NULL",
            bulk::rows(chunk.len(), 6, 1)
        );
        let mut query = sqlx::query(bulk::statement(text));
        for message in chunk {
            let accept = message.map(|(_, _, accept)| accept);
            query = query
                .bind(message.map(|(id, ..)| id.as_str()))
                .bind(accept.map(|accept| accept.user.as_str()))
                .bind(accept.map(|accept| accept.body.as_str()))
                .bind(accept.and_then(|accept| accept.idempotency_key.as_deref()))
                .bind(accept.map(|accept| accept.now.as_millis()))
                .bind(message.map(|(_, run_at, _)| run_at.as_millis()));
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}
