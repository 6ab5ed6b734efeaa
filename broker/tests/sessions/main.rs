//! What becomes of sessions where events meet: one connection takes over from another, rights end, messages wait.

mod acks;
mod bounds;
#[path = "../common/client.rs"]
mod client;
#[path = "../common/mod.rs"]
mod common;
mod copies;
mod crashed;
mod cursor_host;
mod cursor_waits;
mod cursors;
mod denied;
mod drained;
mod driven;
mod flood;
mod floods;
mod forgotten;
mod gaps;
mod groups;
mod handshake;
mod held;
mod keep_alive;
mod kicked;
mod live;
mod model;
mod order;
mod outdated;
mod owners;
mod owners_host;
mod progress;
mod revocations;
mod rights;
mod setup;
mod skips;
mod standing;
mod stopping;
mod takeover;
#[path = "../common/user.rs"]
mod user;
mod user_bytes;
mod wills;
mod wills_elsewhere;
