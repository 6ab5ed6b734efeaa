//! `cargo xtask`: sets up, checks and tests the workspace.

mod attack;
mod lint;
mod programs;
mod python;
mod setup;
mod step;
mod test;
mod web;

use std::{env, process::ExitCode};

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask TASK [--locked] [ARGS]

  setup   install what the tests need
  lint    formatting, clippy, rustdoc, and the web app's types and lints, with warnings denied
  test    setup, lint, and every test; ARGS go to `cargo test`
  attack  what the neighbours of an attacker notice, at full size against a release build; ARGS choose attacks by name

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
        locked: locked.is_some(),
    };
    match args.split_first() {
        Some((task, [])) if task == "setup" => setup::run(),
        Some((task, [])) if task == "lint" => lint::run(&cargo),
        Some((task, rest)) if task == "test" => test::run(&cargo, rest),
        Some((task, names)) if task == "attack" => attack::run(&cargo, names),
        Some((task, [])) if task == "help" || task == "--help" => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}
