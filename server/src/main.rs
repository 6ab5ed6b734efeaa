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
mod inbox_mark;
mod live_connections;
mod logging;
mod nodes;
mod open_files;
mod progress;
mod retention;
mod rights_watch;
mod run_file;
mod serve;
mod shown;
mod signals;
mod tasks;
mod tls;

use std::{io, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;

use cli::{Cli, Command};
use config::{Config, ConfigError};
use logging::Logging;
use signals::Signals;

/// A process that served a crowd gives its memory back, and small blocks of many sessions take less.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code for a configuration that cannot be used.
const EXIT_CONFIG: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // Before anything that may last: who starts a server may stop it at once.
    let signals = match cli.command {
        None | Some(Command::Serve) => Signals::listen().map(Some),
        _ => Ok(None),
    };
    let config = Config::load(&cli.options);
    let started = config.and_then(|config| Ok((Logging::start(&config.log)?, config)));
    let (log, config) = match started {
        Ok(started) => started,
        Err(e) => {
            logging::write_line(&refused(&e));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if let Some(variables) = config::ignored() {
        tracing::warn!(
            variables,
            "these variables are not Herald's and are ignored: a key is HERALD_SECTION__KEY"
        );
    }
    let (code, last_words) = match run(cli, config, signals).await {
        Ok(()) => (ExitCode::SUCCESS, None),
        Err(e) => match e.downcast_ref::<ConfigError>() {
            Some(e) => (ExitCode::from(EXIT_CONFIG), Some(refused(e))),
            None => (ExitCode::FAILURE, Some(format!("herald: {e:#}"))),
        },
    };
    log.end(last_words.as_deref());
    code
}

/// One line, with what may have been meant to be there.
fn refused(error: &ConfigError) -> String {
    match config::ignored() {
        Some(variables) => format!("herald: configuration: {error}; ignored was {variables}"),
        None => format!("herald: configuration: {error}"),
    }
}

/// `signals` are there for the server alone: they end the other commands.
async fn run(cli: Cli, config: Config, signals: io::Result<Option<Signals>>) -> anyhow::Result<()> {
    let signals = signals.context("cannot listen for signals")?;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => match signals {
            Some(signals) => serve::serve(config, signals).await,
            None => Ok(()),
        },
        Command::CheckConfig => commands::check_config(&config).await,
        Command::Ca => commands::ca(&config),
        Command::Admin(command) => commands::admin(&config, command).await,
        Command::Token(command) => commands::token(&config, command).await,
        Command::Queue(command) => commands::queue(&config, command).await,
        Command::Drain => commands::drain(&config).await,
        Command::Nodes => commands::nodes(&config).await,
        Command::Backup { file } => commands::backup(&config, &file).await,
        Command::Restore { file } => commands::restore(&config, &file).await,
        Command::Migrate(args) => commands::migrate(&config, &args).await,
    }
}
