//! How users send, over HTTP and over MQTT: what is checked, and who has to wait.

mod in_time;
mod writer_permits;

use std::time::Duration;

use herald_store::{
    Accepted, BodyError, Message, Store, StoreError, Timestamp, UserId, check_body,
    check_idempotency_key,
};
use tokio::time::{Instant, sleep};

use crate::limits::rate_limit::RateLimit;

use in_time::in_time;
use writer_permits::{Entrance, WriterPermits};

/// How long a sender who cannot be refused waits for messages of theirs to end or to be deleted.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether some have.
const LOOK: Duration = Duration::from_millis(250);

/// What users may send.
#[derive(Debug, Clone, Copy)]
pub struct SendLimits {
    /// The longest text of a message, in bytes of UTF-8.
    pub message_bytes: usize,
    /// How many messages one user may send a minute, on average; as many may come at once. 0: any number.
    pub per_minute: u32,
    /// How many bytes the texts of these may have, on average; as many may come at once. 0: any number.
    pub bytes_per_minute: u32,
}

impl Default for SendLimits {
    /// 64 KiB; 6,000 and 32 MiB a minute.
    fn default() -> Self {
        Self {
            message_bytes: 64 * 1024,
            per_minute: 6_000,
            bytes_per_minute: 32 << 20,
        }
    }
}

/// What becomes of a send that cannot be taken at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It is refused; but it waits for its turn and for the database, ten seconds in all.
    None,
    /// It waits for its turn at the database, and is refused if it is beyond a quota.
    Turn,
    /// It also waits until its user may send again, and up to ten seconds until the user has fewer messages waiting, or
    /// more room: for senders that cannot learn that they are refused.
    Quota,
}

/// Why a send was refused. Nothing was written, unless it says so.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// The body or the key cannot be.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The key was used for another body.
    #[error("this idempotency key was used for another body")]
    KeyConflict,
    /// The user has sent as much as a minute allows.
    #[error("at most {per_minute} {unit} a minute; slow down")]
    RateLimited {
        /// What is allowed.
        per_minute: u32,
        /// Of what.
        unit: &'static str,
        /// When the next one may come.
        retry_after: Duration,
    },
    /// As many messages of the user are waiting as may.
    #[error("as many of your messages are waiting as may; send again when some are done")]
    TooManyWaiting,
    /// With it, more would be kept of the user than may.
    #[error(
        "your messages take as much room as they may: {limit} bytes; delete some that have ended, or wait until old ones \
         are deleted by themselves"
    )]
    TooMuchStored {
        /// What is allowed.
        limit: u64,
    },
    /// The database took too long. Whether it was written is not known.
    #[error(
        "the database took too long; whether the message was stored is not known: send it again with the same Idempotency-Key, \
         if it had one"
    )]
    NotKnown,
    /// It cannot be written; [`StoreError::Busy`] if too much waits to be. What the error says of a write holds for the send.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes what users send.
#[derive(Debug)]
pub struct Sends {
    store: Store,
    limits: SendLimits,
    rate: RateLimit<UserId>,
    bytes: RateLimit<UserId>,
    permits: WriterPermits,
}

impl Sends {
    /// Sends to `store`. There must be only one in a process, as it counts what each user sends.
    #[must_use]
    pub fn new(store: Store, limits: SendLimits) -> Self {
        Self {
            store,
            limits,
            rate: RateLimit::new(limits.per_minute),
            bytes: RateLimit::new(limits.bytes_per_minute),
            permits: WriterPermits::default(),
        }
    }

    /// What users may send.
    #[must_use]
    pub fn limits(&self) -> SendLimits {
        self.limits
    }

    /// Takes a message of `user`; it is durable when this resolves to `Ok`. A repeat of an earlier send, with the same key
    /// and body, returns its message, and counts as any other.
    ///
    /// # Errors
    ///
    /// A [`SendError`], which says whether anything was written.
    pub async fn send(
        &self,
        user: &UserId,
        body: String,
        idempotency_key: Option<String>,
        patience: Patience,
    ) -> Result<Message, SendError> {
        check_body(&body, self.limits.message_bytes)?;
        if let Some(key) = &idempotency_key {
            check_idempotency_key(key)?;
        }
        // No text is longer than a message may be.
        let bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
        for (rate, amount, unit) in [
            (&self.rate, 1, "messages"),
            (&self.bytes, bytes, "bytes of messages"),
        ] {
            if patience == Patience::Quota {
                rate.wait(user, amount).await;
            } else {
                let limited = |retry_after| SendError::RateLimited {
                    per_minute: rate.per_minute(),
                    unit,
                    retry_after,
                };
                rate.take(user, amount).map_err(limited)?;
            }
        }
        let accepted = match patience {
            Patience::None => {
                let permit = self.permits.acquire(user, Entrance::Http, body.len());
                let accept = async |by: Instant| {
                    let (now, by) = (Timestamp::now(), by.into_std());
                    let store = &self.store;
                    store.accept_by(user, body, idempotency_key, now, by).await
                };
                let accepted = in_time(permit, accept).await?;
                accepted.ok_or(SendError::NotKnown)?
            }
            Patience::Turn => self.accept_in_turn(user, body, idempotency_key).await?,
            Patience::Quota => self.accept_at_last(user, body, idempotency_key).await?,
        };
        match accepted {
            Accepted::New(message) | Accepted::Existing(message) => Ok(message),
            Accepted::KeyConflict => Err(SendError::KeyConflict),
            Accepted::TooManyWaiting => Err(SendError::TooManyWaiting),
            Accepted::TooMuchStored => Err(SendError::TooMuchStored {
                limit: self.store.stored_bytes_limit().unwrap_or_default(),
            }),
        }
    }

    async fn accept_in_turn(
        &self,
        user: &UserId,
        body: String,
        key: Option<String>,
    ) -> Result<Accepted, StoreError> {
        let _permit = self.permits.acquire(user, Entrance::Mqtt, body.len()).await;
        let now = Timestamp::now();
        self.store.accept_or_wait(user, body, key, now).await
    }

    async fn accept_at_last(
        &self,
        user: &UserId,
        body: String,
        key: Option<String>,
    ) -> Result<Accepted, StoreError> {
        let since = Instant::now();
        let again = (body.clone(), key.clone());
        let first = self.accept_in_turn(user, body, key).await?;
        if !is_beyond_a_quota(&first) {
            return Ok(first);
        }
        // Only the user's first looks.
        let queue = self.rate.queue(user);
        let _first = queue.lock().await;
        loop {
            let (body, key) = again.clone();
            let accepted = self.accept_in_turn(user, body, key).await?;
            if !is_beyond_a_quota(&accepted) || since.elapsed() > PATIENCE {
                return Ok(accepted);
            }
            sleep(LOOK).await;
        }
    }
}

/// Whether it may be taken once others of its user have ended or are gone.
fn is_beyond_a_quota(accepted: &Accepted) -> bool {
    matches!(accepted, Accepted::TooManyWaiting | Accepted::TooMuchStored)
}
