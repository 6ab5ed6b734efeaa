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
    // As it is built alone, without the features that other packages ask for.
    step(
        "herald alone",
        &mut cargo.command(["check", "--package", "herald"]),
    )?;
    step("fuzz target", &mut fuzz_target(cargo))?;
    setup::web()?;
    web::lint()
}

/// Checks the fuzz target, which is a workspace of its own, by its own lock file. cargo-fuzz is not needed, and libFuzzer is
/// not built, as nothing is linked.
fn fuzz_target(cargo: &Cargo) -> Command {
    let folder = root().join("broker/fuzz");
    let cargo = Cargo {
        locked: true,
        ..cargo.clone()
    };
    let mut command = cargo.command(["clippy", "--all-targets", "--manifest-path"]);
    command
        .arg(folder.join("Cargo.toml"))
        .args(["--", "-D", "warnings"])
        .env("CUSTOM_LIBFUZZER_PATH", folder.join("target/libfuzzer.a"));
    command
}
