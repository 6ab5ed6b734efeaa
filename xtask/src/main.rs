//! `cargo xtask`: sets up, checks and tests the workspace.

mod attack;
mod database;
mod databases;
mod lint;
mod programs;
mod python;
mod runner;
mod setup;
mod smoke;
mod step;
mod test;
mod web;

use std::{env, process::ExitCode};

use anyhow::{Result, bail};
use database::Database;

const USAGE: &str = "\
usage: cargo xtask TASK [--locked] [ARGS]

  setup   install what the tests need
  lint    formatting, clippy, rustdoc, and the web app's types and lints, with warnings denied
  test    setup, lint, and every test; ARGS go to `cargo test`, but for
          --databases LIST: of sqlite, postgres and mariadb, with commas between; all of them if it is missing
  smoke   [postgres,mariadb] [ARGS]: the end-to-end tests that every database has to bear, on servers; `test` without ARGS
          runs them, too; ARGS go to `cargo test`
  attack  what the neighbours of an attacker notice, at full size against a release build; ARGS choose attacks by name

  databases [postgres,mariadb] [-- COMMAND...]
          run COMMAND with servers for the tests, or print their addresses for a shell and keep them until Ctrl-C

  --locked   fail rather than change Cargo.lock";

fn main() -> ExitCode {
    match run(env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: Vec<String>) -> Result<()> {
    // What stands behind `--` is for the test programs.
    let own = args
        .iter()
        .position(|arg| arg == "--")
        .unwrap_or(args.len());
    let locked = args[..own].iter().position(|arg| arg == "--locked");
    if let Some(position) = locked {
        args.remove(position);
    }
    let cargo = step::Cargo {
        xtask: env::current_exe()?,
        locked: locked.is_some(),
    };
    match args.split_first() {
        Some((task, [])) if task == "setup" => setup::run(&Database::ALL),
        Some((task, [])) if task == "lint" => lint::run(&cargo),
        Some((task, rest)) if task == "test" => test::run(&cargo, rest),
        Some((task, rest)) if task == "smoke" => smoke::run(&cargo, rest),
        Some((task, names)) if task == "attack" => attack::run(&cargo, names),
        Some((task, rest)) if task == "databases" => databases::run(rest),
        // For cargo.
        Some((task, rest)) if task == "runner" => runner::run(rest),
        Some((task, [])) if task == "help" || task == "--help" => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}
