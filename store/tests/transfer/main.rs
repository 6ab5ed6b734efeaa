//! Copying all of a database to another one, through the store's public interface.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod changed;
mod common;
mod contents;
mod interrupted;
mod many;
mod refused;
mod round_trip;
mod targets;
mod topics;
