//! `cargo xtask lint`.

use std::process::Command;

use anyhow::Result;

use crate::{
    setup,
    step::{Cargo, root, step},
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
    step("fuzz target", &mut fuzz_target())?;
    setup::web()?;
    web::lint()
}

/// Checks the fuzz target, which is a workspace of its own, by its own lock file. cargo-fuzz is not needed, and libFuzzer is
/// not built, as nothing is linked.
fn fuzz_target() -> Command {
    let folder = root().join("broker/fuzz");
    let cargo = Cargo { locked: true };
    let mut command = cargo.command(["clippy", "--all-targets", "--manifest-path"]);
    command
        .arg(folder.join("Cargo.toml"))
        .args(["--", "-D", "warnings"])
        .env("CUSTOM_LIBFUZZER_PATH", folder.join("target/libfuzzer.a"));
    command
}
