//! `cargo xtask setup`: installs what the tests need and cargo does not bring.

use std::{fs, path::Path, process::Command, time::SystemTime};

use anyhow::{Result, bail};

use crate::{
    programs::{apt_install, has},
    python,
    step::{root, step},
};

/// Programs that the tests run, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 7] = [
    ("mosquitto_sub", "mosquitto-clients"),
    ("mosquitto_pub", "mosquitto-clients"),
    ("curl", "curl"),
    ("chromium", "chromium"),
    ("script", "bsdutils"),
    ("chattr", "e2fsprogs"),
    // It brings the library, which the tests use without it.
    ("faketime", "faketime"),
];

pub(crate) fn run() -> Result<()> {
    toolchain()?;
    programs()?;
    npm_packages(&root().join("tests/js"))?;
    web()?;
    python::packages()
}

/// What the web app is built and checked with.
pub(crate) fn web() -> Result<()> {
    npm_packages(&root().join("web"))
}

fn toolchain() -> Result<()> {
    for component in ["rustfmt", "clippy"] {
        let program = format!("cargo-{}", component.trim_start_matches("rust"));
        if !has(&program) {
            bail!("{component} is missing. Run: rustup component add {component}");
        }
    }
    Ok(())
}

fn programs() -> Result<()> {
    let mut packages: Vec<&str> = PROGRAMS
        .into_iter()
        .filter(|(program, _)| !has(program))
        .map(|(_, package)| package)
        .collect();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    apt_install(&packages)
}

fn npm_packages(folder: &Path) -> Result<()> {
    // npm writes the one inside last.
    let installed = modified(&folder.join("node_modules/.package-lock.json"));
    let wanted = modified(&folder.join("package-lock.json"));
    if installed.is_some() && installed >= wanted {
        return Ok(());
    }
    if !has("npm") {
        bail!("npm is missing: install Node.js 20 or newer");
    }
    step(
        "npm ci",
        Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(folder),
    )
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|data| data.modified()).ok()
}
