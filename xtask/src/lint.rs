//! `cargo xtask lint`.

use anyhow::Result;

use crate::{
    setup,
    step::{Cargo, step},
    web,
};

pub(crate) fn run(cargo: &Cargo) -> Result<()> {
    step(
        "house",
        &mut cargo.command(["test", "--quiet", "--package", "xtask", "--test", "house"]),
    )?;
    step("format", &mut cargo.command(["fmt", "--all", "--check"]))?;
    step(
        "clippy",
        cargo
            .command(["clippy", "--workspace", "--all-targets"])
            .args(["--", "-D", "warnings"]),
    )?;
    step(
        "rustdoc",
        cargo
            .command(["doc", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    setup::web()?;
    web::lint()
}
