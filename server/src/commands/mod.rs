//! The commands that do not serve.

mod admin;
mod ca;
mod check_config;
mod password;
mod queue;
mod token;

use std::io::Write as _;

use herald_store::{Store, StoreOptions};

use crate::{config::Config, data_dir};

pub(crate) use admin::admin;
pub(crate) use ca::ca;
pub(crate) use check_config::check_config;
pub(crate) use queue::queue;
pub(crate) use token::token;

/// Writes a line to standard output. That nobody reads it is no fault: `herald admin list | head -1`.
fn print(line: impl std::fmt::Display) -> std::io::Result<()> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// The server's own database. The server may be running, or may never have run.
async fn store(config: &Config) -> anyhow::Result<Store> {
    data_dir::create(&config.data_dir)?;
    Ok(Store::open(StoreOptions::sqlite(&config.database_file()?)).await?)
}
