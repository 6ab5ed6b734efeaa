//! `cargo xtask setup`: installs what the tests need and cargo does not bring.

use std::{fs, path::Path, process::Command, time::SystemTime};

use anyhow::{Context as _, Result, bail};
use herald_test_servers::ServerKind;

use crate::{
    database::Database,
    programs::{apt_install, has},
    python,
    step::{root, step},
};

const LOCK: &str = "package-lock.json";
/// The lock file of what is installed.
const INSTALLED: &str = "node_modules/.herald-lock.json";

/// Programs that the tests run, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 11] = [
    ("mosquitto_sub", "mosquitto-clients"),
    ("mosquitto_pub", "mosquitto-clients"),
    // For a bridge, not as a service.
    ("mosquitto", "mosquitto"),
    ("curl", "curl"),
    ("chromium", "chromium"),
    ("script", "bsdutils"),
    ("chattr", "e2fsprogs"),
    // It brings the library, which the tests use without it.
    ("faketime", "faketime"),
    // Before a server, not as a service.
    ("pgbouncer", "pgbouncer"),
    // Between servers, not as a service.
    ("nats-server", "nats-server"),
    // Before several servers, not as a service.
    ("haproxy", "haproxy"),
];

/// With the servers of these databases.
pub(crate) fn run(databases: &[Database]) -> Result<()> {
    toolchain()?;
    programs()?;
    servers(databases)?;
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

/// The servers of `databases`.
pub(crate) fn servers(databases: &[Database]) -> Result<()> {
    let mut packages: Vec<&str> = databases
        .iter()
        .filter_map(|database| database.server())
        .flat_map(ServerKind::missing_packages)
        .collect();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    apt_install(&packages)
}

/// Installs what the lock file in `folder` names, unless that is there already.
fn npm_packages(folder: &Path) -> Result<()> {
    if is_installed(folder) {
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
    )?;
    let installed = folder.join(INSTALLED);
    fs::copy(folder.join(LOCK), &installed)
        .with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(())
}

/// Whether the packages that the lock file names are there. `web/build.rs` decides in the same way.
fn is_installed(folder: &Path) -> bool {
    let lock = folder.join(LOCK);
    // Git gives a file a new time though it is the same.
    let is_same = fs::read(folder.join(INSTALLED))
        .is_ok_and(|installed| fs::read(&lock).is_ok_and(|wanted| wanted == installed));
    // Installed by hand: npm writes this last.
    let by_npm = modified(&folder.join("node_modules/.package-lock.json"));
    is_same || (by_npm.is_some() && by_npm >= modified(&lock))
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|data| data.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_again_only_when_the_lock_file_changed() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str, at: u64| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(at);
            fs::File::options()
                .append(true)
                .open(&path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        };
        write(LOCK, "one", 1);
        assert!(!is_installed(folder.path()));
        write(INSTALLED, "one", 2);
        assert!(is_installed(folder.path()));
        // As after a checkout.
        write(LOCK, "one", 3);
        assert!(is_installed(folder.path()));
        write(LOCK, "two", 4);
        assert!(!is_installed(folder.path()));
        // By hand.
        write("node_modules/.package-lock.json", "", 5);
        assert!(is_installed(folder.path()));
    }
}
