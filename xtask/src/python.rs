//! The Python packages that the tests need, in a virtual environment below `target`.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::{
    programs::{apt_install, has},
    step::{root, step},
};

/// The Debian package that has what `python3 -m venv` needs.
const VENV_PACKAGE: &str = "python3-venv";

pub(crate) fn packages() -> Result<()> {
    let requirements = root().join("tests/python/requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let environment = root().join("target/python");
    // Written last.
    let installed = environment.join("requirements.txt");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if !has("python3") {
        bail!("python3 is missing: install Python 3.10 or newer and its module venv");
    }
    if make(&environment).is_err() {
        // Debian has it in a package of its own.
        apt_install(&[VENV_PACKAGE])?;
        make(&environment)?;
    }
    step(
        "pip install",
        Command::new(environment.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            // The file names all there are.
            .args(["--no-deps", "--requirement"])
            .arg(&requirements),
    )?;
    fs::write(&installed, wanted).with_context(|| format!("cannot write {}", installed.display()))
}

fn make(environment: &Path) -> Result<()> {
    step(
        "python3 -m venv",
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(environment),
    )
}
