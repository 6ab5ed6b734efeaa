//! One command, with its name and how long it took.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// Runs `command` to its end; that it fails is an error.
pub(crate) fn step(name: &str, command: &mut Command) -> Result<()> {
    println!("==> {name}");
    let start = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("{name}: cannot run {}", command.get_program().display()))?;
    let seconds = start.elapsed().as_secs_f32();
    ensure!(
        status.success(),
        "{name} failed after {seconds:.1} s ({status})"
    );
    println!("<== {name}: {seconds:.1} s");
    Ok(())
}

/// How cargo is called.
#[derive(Clone)]
pub(crate) struct Cargo {
    /// This program, asked for before cargo puts another in its place.
    pub(crate) xtask: PathBuf,
    /// Cargo.lock must be up to date.
    pub(crate) locked: bool,
}

impl Cargo {
    /// `cargo ARGS...` in the root. The first of `args` is the subcommand.
    pub(crate) fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(root());
        // What is checked is the whole server.
        command.env("HERALD_WEB", "required");
        if self.locked {
            command.arg("--locked");
        }
        command.args(args);
        command
    }

    /// Builds `target/debug/herald`, which the end-to-end tests start.
    pub(crate) fn build_herald(&self) -> Result<()> {
        step("build", &mut self.command(["build", "--package", "herald"]))
    }
}
