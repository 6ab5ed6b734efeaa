//! `cargo xtask test`.

use anyhow::Result;

use crate::{
    lint, setup,
    step::{Cargo, step},
    web,
};

/// `args` go to `cargo test`.
pub(crate) fn run(cargo: &Cargo, args: &[String]) -> Result<()> {
    setup::run()?;
    lint::run(cargo)?;
    web::test()?;
    // The end-to-end tests start it.
    step(
        "build",
        &mut cargo.command(["build", "--package", "herald"]),
    )?;
    step("test", cargo.command(["test", "--workspace"]).args(args))
}
