//! Programs of the system, and the Debian packages that have them.

use std::{
    env, fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::step::step;

/// What Debian's packages ask before they start a service; see invoke-rc.d(8).
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Packages that bring a service of the same name.
const SERVICES: [&str; 5] = [
    "haproxy",
    "mosquitto",
    "nats-server",
    "pgbouncer",
    "postgresql",
];

/// Lets no package start a service that it brings, until it is dropped.
struct NoServices {
    /// Ours, not that of the machine.
    made: bool,
}

impl NoServices {
    fn begin() -> Result<Self> {
        if Path::new(POLICY).exists() {
            // It has one of its own, as containers do.
            return Ok(Self { made: false });
        }
        let mut options = fs::OpenOptions::new();
        let policy = options.write(true).create_new(true).mode(0o755);
        let mut policy = policy.open(POLICY).context(POLICY)?;
        let made = Self { made: true };
        policy.write_all(b"#!/bin/sh\nexit 101\n")?;
        Ok(made)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.made {
            // It is there, as nobody else takes it away.
            let _ = fs::remove_file(POLICY);
        }
    }
}

/// Installs these Debian packages, or says how. None of them starts a service.
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
    let _no_services = NoServices::begin()?;
    step(
        "apt-get install",
        Command::new("apt-get")
            .args(["install", "-qq", "-y", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    for service in SERVICES {
        if packages.contains(&service) {
            // Nor at the next start of the machine.
            step(
                &format!("update-rc.d {service} disable"),
                Command::new("update-rc.d").args([service, "disable"]),
            )?;
        }
    }
    Ok(())
}

/// Whether `program` is on the PATH.
pub(crate) fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian has servers where not everyone looks.
    let mut folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.any(|folder| folder.join(program).is_file())
}

fn is_root() -> Result<bool> {
    let output = Command::new("id")
        .arg("-u")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run id")?;
    Ok(output.stdout.trim_ascii() == b"0")
}
