//! The time by which servers compare how old a frame is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use herald_store::Timestamp;

/// By the clock of the database.
pub(super) fn now() -> SystemTime {
    let millis = u64::try_from(Timestamp::now().as_millis()).unwrap_or(0);
    UNIX_EPOCH + Duration::from_millis(millis)
}
