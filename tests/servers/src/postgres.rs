//! PostgreSQL: its programs, a new cluster, and how it is started.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{account::Account, programs, server_home::ServerHome};

/// Where Debian has one folder a version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// The oldest version that Herald runs on.
const OLDEST: u32 = 15;

/// A small server. Commits are durable, as by default.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
shared_buffers = '32MB'
max_wal_size = '256MB'
wal_level = minimal
max_wal_senders = 0
jit = off
# A server that is killed leaves nothing outside of its folder.
dynamic_shared_memory_type = mmap
";

/// Its processes end without a last checkpoint, and clean up.
pub(crate) const END: &str = "QUIT";

pub(crate) const SUPERUSER: &str = "postgres";

pub(crate) fn missing_packages() -> Vec<&'static str> {
    if program("postgres").is_some() {
        vec![]
    } else {
        vec!["postgresql"]
    }
}

pub(crate) fn account() -> Result<Account> {
    Account::find(&["postgres"])
}

/// Debian's newest, if it is new enough, or whichever is on the PATH.
fn program(name: &str) -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|version: &u32| *version >= OLDEST)
        .max();
    let debian = newest.map(|version| format!("{VERSIONS}/{version}/bin/{name}").into());
    debian
        .filter(|program: &PathBuf| program.is_file())
        .or_else(|| programs::find(name, &[]))
}

fn found(name: &str) -> Result<PathBuf> {
    program(name).with_context(|| format!("{name} is missing: cargo xtask setup installs it"))
}

/// Makes a cluster, with this password of the superuser.
pub(crate) fn make(home: &ServerHome, password: &str) -> Result<()> {
    let file = home.folder.join("password");
    fs::write(&file, password)?;
    home.account.own(&file)?;
    let output = home
        .account
        .command(found("initdb")?)
        .current_dir(&home.folder)
        .args(["--username", SUPERUSER, "--pwfile", "password"])
        .args(["--auth", "scram-sha-256", "--encoding", "UTF8"])
        // Text that has no collation of its own is not in the order of its bytes, as on most people's servers.
        .args(["--locale", "C.UTF-8", "--locale-provider", "icu"])
        .args(["--icu-locale", "en-US", "--no-sync", "--no-instructions"])
        .args(["--pgdata", "data"])
        .output()
        .context("cannot run initdb")?;
    ensure!(
        output.status.success(),
        "initdb failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    fs::remove_file(&file)?;
    let settings = home.data().join("postgresql.conf");
    let defaults = fs::read_to_string(&settings)?;
    fs::write(&settings, defaults + SETTINGS)?;
    Ok(())
}

pub(crate) fn command(home: &ServerHome, port: u16) -> Result<Command> {
    let mut command = home.account.command(found("postgres")?);
    command.arg("-D").arg(home.data());
    command.args(["-p", &port.to_string()]);
    Ok(command)
}

/// Whether the server, which is this process, takes statements: it writes so beside its process id.
pub(crate) fn is_ready(data: &Path, process: u32) -> bool {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else {
        return false;
    };
    let mut lines = text.lines();
    let is_open = |status: &str| ["ready", "standby"].contains(&status.trim());
    lines.next() == Some(&process.to_string()) && lines.nth(6).is_some_and(is_open)
}

/// Has it write what a standby needs to read.
pub(crate) fn write_for_standbys(home: &ServerHome) -> Result<()> {
    let settings = home.data().join("postgresql.conf");
    let before = fs::read_to_string(&settings)?;
    fs::write(&settings, before + "wal_level = replica\n")?;
    Ok(())
}

/// Has it start as a standby, which reads what it has written itself.
pub(crate) fn make_standby(home: &ServerHome) -> Result<()> {
    let signal = home.data().join("standby.signal");
    fs::write(&signal, "")?;
    home.account.own(&signal)
}
