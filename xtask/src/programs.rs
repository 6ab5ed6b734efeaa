//! Programs of the system, and the Debian packages that have them.

use std::{
    env,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::step::step;

/// Installs these Debian packages, or says how.
pub(crate) fn apt_install(packages: &[&str]) -> Result<()> {
    if !has("apt-get") {
        bail!(
            "install the programs of these packages: {}",
            packages.join(" ")
        );
    }
    if !is_root()? {
        bail!(
            "the tests need more programs. Run: sudo apt-get update && sudo apt-get install -y {}",
            packages.join(" ")
        );
    }
    step(
        "apt-get update",
        Command::new("apt-get").args(["update", "-qq"]),
    )?;
    step(
        "apt-get install",
        Command::new("apt-get")
            .args(["install", "-qq", "-y", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// Whether `program` is on the PATH.
pub(crate) fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn is_root() -> Result<bool> {
    let output = Command::new("id")
        .arg("-u")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run id")?;
    Ok(output.stdout.trim_ascii() == b"0")
}
