//! The commands that do not serve.

mod admin;
mod backup;
mod ca;
mod check_config;
mod drain;
mod migrate;
mod nodes;
mod password;
mod queue;
mod token;

use std::io::Write as _;

use anyhow::bail;

use herald_store::Store;
use tokio::time::sleep;

use crate::{
    config::{Config, DatabaseLocation},
    nodes::RightsEverywhere,
    shown::shown_line,
};

pub(crate) use admin::admin;
pub(crate) use backup::{backup, restore};
pub(crate) use ca::ca;
pub(crate) use check_config::check_config;
pub(crate) use drain::drain;
pub(crate) use migrate::migrate;
pub(crate) use nodes::nodes;
pub(crate) use queue::queue;
pub(crate) use token::token;

/// Writes a line to standard output. That nobody reads it is no fault: `herald admin list | head -1`.
fn print(line: impl std::fmt::Display) -> std::io::Result<()> {
    match writeln!(std::io::stdout(), "{}", shown_line(&line.to_string())) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Waits until a change of rights that was just made is in force on all servers, and says so. That of a file, if it runs, remembers
/// nothing for longer than this waits.
async fn await_rights(store: &Store) -> std::io::Result<()> {
    if store.is_exclusive() {
        sleep(Store::REMEMBERS_RIGHTS).await;
        return Ok(());
    }
    let reached = RightsEverywhere::of_command(store).reached().await;
    print(reached)
}

/// The server's own database, which there has to be. The server may be running.
async fn store(config: &Config) -> anyhow::Result<Store> {
    let database = config.database_location()?;
    if let DatabaseLocation::File(file) = &database
        && !file.is_file()
    {
        bail!(
            "there is no database at {}; is this the right folder, and --data-dir? `herald serve` makes it at its first start",
            file.display()
        );
    }
    Ok(Store::open(database.options()).await?)
}
