//! What is read. Nothing here writes.

pub(crate) mod audit;
pub(crate) mod clock;
pub(crate) mod delays;
mod epoch;
pub(crate) mod failed_attempts;
pub(crate) mod inbox;
mod inboxes;
pub(crate) mod listing;
mod messages;
pub(crate) mod mqtt_sessions;
pub(crate) mod mqtt_wills;
pub(crate) mod nodes;
pub(crate) mod queue;
pub(crate) mod retained;
pub(crate) mod rights_changes;
pub(crate) mod rules;
pub(crate) mod sessions;
mod sign_ins;
mod stored_bytes;
pub(crate) mod token_reader;
mod tokens;
mod users;
