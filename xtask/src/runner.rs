//! `cargo xtask runner`: starts a test program for cargo, with as many tests at once as suit it.

use std::{
    env, os::unix::process::CommandExt as _, path::Path, process::Command,
    thread::available_parallelism,
};

use anyhow::{Context as _, Result, bail};

use crate::step::Cargo;

/// Programs whose tests mostly wait, for servers, leases and timeouts: twice as many of them as there are processors run at once.
const WAITING: [&str; 2] = ["e2e", "nodes"];

/// How many tests run at once.
const THREADS: &str = "RUST_TEST_THREADS";

/// `cargo test`, whose programs are started by this one.
pub(crate) fn test(cargo: &Cargo) -> Result<Command> {
    let own = cargo.xtask.to_str();
    let own = own.context("the path of xtask is no UTF-8")?;
    let runner = format!("target.'cfg(all())'.runner = [{own:?}, \"runner\"]");
    Ok(cargo.command(["test", "--config", &runner, "--workspace"]))
}

/// Becomes the program that `args` begin with.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let Some((program, args)) = args.split_first() else {
        bail!("runner: which program?");
    };
    let mut command = Command::new(program);
    command.args(args);
    if WAITING.contains(&name(program)) && env::var_os(THREADS).is_none() {
        let processors = available_parallelism()?.get();
        command.env(THREADS, (2 * processors).to_string());
    }
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {program}"))
}

/// Cargo's name of the program, without what it adds.
fn name(program: &str) -> &str {
    let file = Path::new(program).file_name();
    let file = file.and_then(|file| file.to_str()).unwrap_or(program);
    file.rsplit_once('-').map_or(file, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_name() {
        assert_eq!(name("/a-b/deps/nodes-81e3403bc0fb277f"), "nodes");
        assert_eq!(name("herald_store-44"), "herald_store");
        assert_eq!(name("plain"), "plain");
    }
}
