//! What every database has to bear: the real binary sends, waits, delivers to who was away, is killed, keeps users apart and takes
//! rights away; and its other commands.
//!
//! `HERALD_E2E_DATABASE` says which database, SQLite if it is not set: `cargo xtask smoke` runs this on each server, with
//! `torture`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail them")]

use herald_tests::{Herald, notified};

mod cli;
mod credentials;
mod delay;
mod isolation;
mod kill;
mod offline;
mod retained;
mod rights;
mod send;
mod webhook;

#[tokio::test]
async fn it_is_on_the_database_that_was_chosen() {
    let herald = Herald::start().await;
    let file = herald.data_dir().join("herald.db");
    let is_on_a_server = std::env::var("HERALD_E2E_DATABASE").is_ok_and(|name| name != "sqlite");
    assert_eq!(file.exists(), !is_on_a_server);
}
