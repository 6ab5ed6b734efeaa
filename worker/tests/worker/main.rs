//! The worker on a real database.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;
mod crashes;
mod leases;
mod locked;
mod ready;
mod retries;
mod turns;
