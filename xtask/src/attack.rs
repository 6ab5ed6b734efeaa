//! `cargo xtask attack`.

use anyhow::Result;

use crate::{
    setup,
    step::{Cargo, step},
};

/// Runs the attacks of `tests/tests/attack` at full size against a release build; `names` chooses some.
pub(crate) fn run(cargo: &Cargo, names: &[String]) -> Result<()> {
    // The app is part of the server.
    setup::web()?;
    step(
        "build",
        &mut cargo.command(["build", "--release", "--package", "herald"]),
    )?;
    step(
        "attack",
        cargo
            .command(["test", "--release", "--package", "herald-tests"])
            .args(["--test", "attack", "--no-fail-fast", "--"])
            .args(["--nocapture", "--test-threads=1"])
            .args(names)
            .env("HERALD_ATTACK", "full"),
    )
}
