//! Epochs: numbers of inboxes can be compared within one only.
//!
//! A database that was restored from a backup gives numbers again that clients have seen before. So it begins a new epoch:
//! a position in another one means nothing.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Serialize, Serializer};
use sqlx::AnyConnection;

pub(crate) const READ: &str = "SELECT epoch, changes FROM inbox_epoch WHERE id = 1";

/// The name of an epoch: opaque, and another one for each. Numbers of inboxes are comparable within one only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch(Arc<str>);

impl Epoch {
    /// A new one.
    pub(crate) fn new() -> Self {
        Self(format!("{:016x}", rand::random::<u64>()).into())
    }

    /// The one with this name.
    pub(crate) fn of(name: String) -> Self {
        Self(name.into())
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Epoch> for Arc<str> {
    fn from(epoch: Epoch) -> Self {
        epoch.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Epoch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// How far the inboxes of a database have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxProgress {
    /// Their epoch.
    pub epoch: Epoch,
    /// Grows with each transaction that gives numbers.
    pub changes: i64,
}

/// The epoch that is in force: read at the start, and changed by this process alone.
#[derive(Debug)]
pub(crate) struct CurrentEpoch(Mutex<Epoch>);

impl CurrentEpoch {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self(Mutex::new(epoch))
    }

    pub(crate) fn get(&self) -> Epoch {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set(&self, epoch: Epoch) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = epoch;
    }
}

/// The epoch that the database is in.
pub(crate) async fn read(conn: &mut AnyConnection) -> Result<Epoch, sqlx::Error> {
    Ok(Epoch::of(read_progress(conn).await?.0))
}

/// The epoch that the database is in, and how often inboxes have changed.
pub(crate) async fn read_progress(conn: &mut AnyConnection) -> Result<(String, i64), sqlx::Error> {
    sqlx::query_as(READ).fetch_one(conn).await
}
