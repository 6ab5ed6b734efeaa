//! Disks that fill up, files that turn read-only, clocks that are set back, services that never answer, database servers that
//! are killed: nothing is lost or doubled, it is said what is
//! wrong, and the server goes on by itself once it is not.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail them")]

mod clock;
mod database;
mod full_disk;
mod gone;
mod locked;
mod read_only;
mod refusing;
mod stuck;
