//! How long a message waits before it is worked on.

use herald_acl::Username;
use rand::Rng;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use crate::Page;
use crate::dialect::Param;
use crate::page::{JsonBytes, item_bytes};
use crate::reschedule::Scope;
use crate::users::parse_username;
use crate::writer::Operation;
use crate::{Store, StoreError, UserId};

/// The key of the delay in the settings.
const KEY: &str = "delay";

/// How long a message waits between being accepted and being worked on, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "lowercase", deny_unknown_fields)]
pub enum Delay {
    /// Every message waits as long.
    Fixed {
        /// Milliseconds.
        ms: u64,
    },
    /// Every message waits a random time, each one within the limits as likely as another.
    Uniform {
        /// The shortest wait in milliseconds.
        min_ms: u64,
        /// The longest wait in milliseconds.
        max_ms: u64,
    },
}

/// Why a [`Delay`] cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DelayError {
    /// It is longer than [`Delay::MAX_MS`].
    #[error("a delay has at most {} ms (30 days), not {ms}", Delay::MAX_MS)]
    TooLong {
        /// The delay in milliseconds.
        ms: u64,
    },
    /// The shortest wait is longer than the longest.
    #[error("the shortest delay ({min_ms} ms) is longer than the longest ({max_ms} ms)")]
    Reversed {
        /// The shortest wait in milliseconds.
        min_ms: u64,
        /// The longest wait in milliseconds.
        max_ms: u64,
    },
}

impl Delay {
    /// The longest delay: 30 days in milliseconds.
    pub const MAX_MS: u64 = 30 * 24 * 60 * 60 * 1000;

    /// The delay until an administrator sets another: one second.
    pub const DEFAULT: Self = Self::Fixed { ms: 1000 };

    /// Says whether the delay can be used.
    ///
    /// # Errors
    ///
    /// A [`DelayError`] if it is too long or its limits are the wrong way round.
    pub fn validate(self) -> Result<(), DelayError> {
        let (min_ms, max_ms) = self.limits();
        if max_ms > Self::MAX_MS {
            return Err(DelayError::TooLong { ms: max_ms });
        }
        if min_ms > max_ms {
            return Err(DelayError::Reversed { min_ms, max_ms });
        }
        Ok(())
    }

    /// The wait of one message in milliseconds.
    pub fn sample(self, rng: &mut impl Rng) -> u64 {
        let (min_ms, max_ms) = self.limits();
        rng.random_range(min_ms..=max_ms.max(min_ms))
    }

    /// The shortest and the longest wait in milliseconds.
    fn limits(self) -> (u64, u64) {
        match self {
            Self::Fixed { ms } => (ms, ms),
            Self::Uniform { min_ms, max_ms } => (min_ms, max_ms),
        }
    }

    /// As it is kept.
    fn setting(self) -> String {
        serde_json::to_string(&self)
            .expect("a delay has only text keys and numbers, which JSON can hold")
    }

    /// Reads the delay from its setting; `None` is a setting that was never made.
    pub(crate) fn from_setting(value: Option<&str>) -> Result<Self, StoreError> {
        let Some(value) = value else {
            return Ok(Self::DEFAULT);
        };
        let invalid = StoreError::Invalid { what: "delay" };
        let delay: Self = serde_json::from_str(value).map_err(|_| invalid.clone())?;
        delay.validate().map_err(|_| invalid)?;
        Ok(delay)
    }
}

impl JsonBytes for (Username, Delay) {
    fn json_bytes(&self) -> usize {
        item_bytes([Some(self.0.as_str())])
    }
}

impl Store {
    /// The delay of the messages that are accepted from now on, of users who have none of their own.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn delay(&self) -> Result<Delay, StoreError> {
        let value: Option<String> = sqlx::query_scalar("SELECT value FROM settings WHERE key = $1")
            .bind(KEY)
            .fetch_optional(self.readers())
            .await?;
        Delay::from_setting(value.as_deref())
    }

    /// The delay that `user` alone has; `None` if it is that of all others, or if there is no such account.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn user_delay(&self, user: &UserId) -> Result<Option<Delay>, StoreError> {
        let value: Option<Option<String>> =
            sqlx::query_scalar("SELECT delay FROM users WHERE id = $1")
                .bind(user.as_str())
                .fetch_optional(self.readers())
                .await?;
        let own = value.flatten();
        own.map(|own| Delay::from_setting(Some(&own))).transpose()
    }

    /// Up to `limit` users who have a delay of their own, by name, those after `after`, each with it.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn list_user_delays(
        &self,
        after: Option<&Username>,
        limit: u32,
    ) -> Result<Page<(Username, Delay)>, StoreError> {
        let text = "SELECT username, delay FROM users
             WHERE delay IS NOT NULL AND username > $1 ORDER BY username LIMIT $2";
        let params = [
            Param::Text(after.map_or("", Username::as_str)),
            Param::Int(i64::from(limit) + 1),
        ];
        let read = |row: &AnyRow| {
            let name = parse_username(row.try_get("username")?)?;
            Ok((name, Delay::from_setting(row.try_get("delay")?)?))
        };
        self.lists()
            .page(text.to_owned(), &params, limit, read)
            .await
    }

    /// Sets the delay of the messages that are accepted from now on, of users who have none of their own, and with
    /// `apply_to_queued` also of those messages of theirs that wait for their first attempt, counted from when each was
    /// accepted. Those that were accepted while the system's clock was ahead, tried or not, count from now. Returns how many
    /// were moved. Wakes the worker if any was.
    ///
    /// Queued messages are moved in many small steps, once the delay is set: if this is dropped or fails between two of
    /// them, some are moved and others are not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Delay`] if the delay cannot be used, another [`StoreError`] if it cannot be
    /// written.
    pub async fn set_delay(&self, delay: Delay, apply_to_queued: bool) -> Result<u64, StoreError> {
        delay.validate()?;
        self.write(SetDelay(delay)).await?;
        if !apply_to_queued {
            return Ok(0);
        }
        // The audit knows of the delay: what is moved by it is no other change.
        self.with_entry(None).reschedule(Scope::Others).await
    }

    /// The same for `user` alone; without a `delay`, the user's is that of all others again. Returns `None`, and does
    /// nothing, if there is no such account.
    ///
    /// # Errors
    ///
    /// As [`set_delay`](Self::set_delay).
    pub async fn set_user_delay(
        &self,
        user: &UserId,
        delay: Option<Delay>,
        apply_to_queued: bool,
    ) -> Result<Option<u64>, StoreError> {
        delay.map_or(Ok(()), Delay::validate)?;
        let set = SetUserDelay {
            user: user.clone(),
            delay,
        };
        if !self.write(set).await? {
            return Ok(None);
        }
        if !apply_to_queued {
            return Ok(Some(0));
        }
        let store = self.with_entry(None);
        store.reschedule(Scope::User(user.clone())).await.map(Some)
    }
}

struct SetDelay(Delay);

impl Operation for SetDelay {
    type Answer = ();

    async fn run(&self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO settings (key, value) VALUES ($1, $2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(KEY)
        .bind(self.0.setting())
        .execute(conn)
        .await?;
        Ok(())
    }
}

struct SetUserDelay {
    user: UserId,
    delay: Option<Delay>,
}

impl Operation for SetUserDelay {
    /// Whether there is such an account.
    type Answer = bool;

    async fn run(&self, conn: &mut AnyConnection) -> Result<bool, StoreError> {
        let set = sqlx::query("UPDATE users SET delay = $1 WHERE id = $2")
            .bind(self.delay.map(Delay::setting))
            .bind(self.user.as_str())
            .execute(conn)
            .await?;
        Ok(set.rows_affected() > 0)
    }

    fn changes(set: &bool) -> bool {
        *set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_written_as_clients_write_it() {
        let cases = [
            (Delay::Fixed { ms: 1000 }, r#"{"mode":"fixed","ms":1000}"#),
            (
                Delay::Uniform {
                    min_ms: 5,
                    max_ms: 9,
                },
                r#"{"mode":"uniform","min_ms":5,"max_ms":9}"#,
            ),
        ];
        for (delay, json) in cases {
            assert_eq!(serde_json::to_string(&delay).unwrap(), json);
            assert_eq!(serde_json::from_str::<Delay>(json).unwrap(), delay);
            assert_eq!(Delay::from_setting(Some(json)).unwrap(), delay);
        }
    }

    #[test]
    fn a_delay_is_at_most_thirty_days_and_its_limits_are_in_order() {
        let max = Delay::MAX_MS;
        assert_eq!(Delay::Fixed { ms: max }.validate(), Ok(()));
        assert_eq!(
            Delay::Fixed { ms: max + 1 }.validate(),
            Err(DelayError::TooLong { ms: max + 1 })
        );
        let reversed = Delay::Uniform {
            min_ms: 2,
            max_ms: 1,
        };
        assert_eq!(
            reversed.validate(),
            Err(DelayError::Reversed {
                min_ms: 2,
                max_ms: 1
            })
        );
    }

    #[test]
    fn samples_reach_both_limits_and_nothing_beyond() {
        let mut rng = rand::rng();
        let delay = Delay::Uniform {
            min_ms: 3,
            max_ms: 6,
        };
        let mut seen: Vec<_> = (0..1000).map(|_| delay.sample(&mut rng)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [3, 4, 5, 6]);
        assert_eq!(Delay::Fixed { ms: 7 }.sample(&mut rng), 7);
    }

    #[test]
    fn a_setting_that_is_no_delay_is_an_error() {
        for value in ["", "7", r#"{"mode":"uniform","min_ms":9,"max_ms":5}"#] {
            assert!(matches!(
                Delay::from_setting(Some(value)),
                Err(StoreError::Invalid { what: "delay" })
            ));
        }
    }
}
