//! The `herald` binary: configuration, wiring, TLS, the command line and shutdown.

mod accept;
mod acks;
mod banner;
mod cli;
mod commands;
mod config;
mod connections;
mod data_dir;
mod host;
mod http;
mod live;
mod logging;
mod open_files;
mod progress;
mod retention;
mod rights;
mod run_file;
mod serve;
mod signals;
mod tls;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};
use config::{Config, ConfigError};

/// Exit code for a configuration that cannot be used.
const EXIT_CONFIG: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start();
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) if e.is::<ConfigError>() => {
            eprintln!("herald: configuration: {e}");
            ExitCode::from(EXIT_CONFIG)
        }
        Err(e) => {
            eprintln!("herald: {e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let config = Config::load(&cli.options)?;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::serve(config).await,
        Command::CheckConfig => commands::check_config(&config),
        Command::Ca => commands::ca(&config),
        Command::Admin(command) => commands::admin(&config, command).await,
        Command::Token(command) => commands::token(&config, command).await,
        Command::Queue(command) => commands::queue(&config, command).await,
    }
}
