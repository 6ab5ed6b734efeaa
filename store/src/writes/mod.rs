//! What is written: each file hands its changes to the writer.

pub(crate) mod accept;
pub(crate) mod acknowledge;
mod audit;
pub(crate) mod audited;
pub(crate) mod claim;
pub(crate) mod cursors;
mod delays;
mod epoch;
mod failed_attempts;
pub(crate) mod finish;
mod inherit;
pub(crate) mod lease;
mod mend_counts;
pub(crate) mod mqtt_sessions;
mod pause;
pub(crate) mod prune;
pub(crate) mod removal;
mod reschedule;
pub(crate) mod retained;
pub(crate) mod retries;
pub(crate) mod retry_dead;
mod rights_changes;
pub(crate) mod rules;
pub(crate) mod sessions;
pub(crate) mod shrink;
mod sign_ins;
mod stored_bytes;
mod take_back;

pub(crate) mod tokens;
pub(crate) mod user_changes;
pub(crate) mod user_deletion;
mod user_queues;
pub(crate) mod users;
