//! MariaDB: its programs, new system tables, and how it is started.

use std::{
    fs,
    io::Read as _,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{account::Account, programs, server_home::ServerHome};

/// Where Debian has the server.
const SBIN: &str = "/usr/sbin";

/// Programs, and the Debian packages that have them. There is no service among them.
const PROGRAMS: [(&str, &str); 3] = [
    ("mariadbd", "mariadb-server-core"),
    ("mariadb-install-db", "mariadb-server-core"),
    // mariadb-install-db runs it.
    ("my_print_defaults", "mariadb-client-core"),
];

/// A small server. Commits are durable, as by default.
const SETTINGS: [&str; 12] = [
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-ssl",
    "--max-connections=300",
    // As Debian sets it.
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_general_ci",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=32M",
    "--key-buffer-size=1M",
    "--aria-pagecache-buffer-size=8M",
    "--table-open-cache=1000",
];

/// The folder is thrown away.
pub(crate) const END: &str = "KILL";

pub(crate) const SUPERUSER: &str = "herald";

/// What is done at each start.
const STATEMENTS: &str = "statements.sql";

pub(crate) fn missing_packages() -> Vec<&'static str> {
    let missing = |(name, _): &(&str, _)| program(name).is_none();
    let mut packages: Vec<_> = PROGRAMS.into_iter().filter(missing).collect();
    packages.dedup_by_key(|(_, package)| *package);
    packages.into_iter().map(|(_, package)| package).collect()
}

pub(crate) fn account() -> Result<Account> {
    // The package of the service would make `mysql`.
    Account::find(&["mysql", "nobody"])
}

fn program(name: &str) -> Option<PathBuf> {
    programs::find(name, &[SBIN.into()])
}

fn found(name: &str) -> Result<PathBuf> {
    program(name).with_context(|| format!("{name} is missing: cargo xtask setup installs it"))
}

/// Makes the system tables, and a superuser with this password.
pub(crate) fn make(home: &ServerHome, password: &str) -> Result<()> {
    for folder in ["data", "tmp"] {
        let folder = home.folder.join(folder);
        fs::create_dir(&folder)?;
        home.account.own(&folder)?;
    }
    let output = home
        .account
        .command(found("mariadb-install-db")?)
        .current_dir(&home.folder)
        .arg("--no-defaults")
        .arg(format!("--datadir={}", home.data().display()))
        .arg(format!("--tmpdir={}", home.folder.join("tmp").display()))
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        .args(["--skip-name-resolve", "--innodb-log-file-size=32M"])
        // Nothing is lost if this is.
        .args(["--innodb-flush-log-at-trx-commit=0", "--skip-sync-frm"])
        .output()
        .context("cannot run mariadb-install-db")?;
    ensure!(
        output.status.success(),
        "mariadb-install-db failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let user = format!("{SUPERUSER}@'127.0.0.1'");
    let statements = format!(
        "CREATE OR REPLACE USER {user} IDENTIFIED BY '{password}';\n\
         GRANT ALL ON *.* TO {user} WITH GRANT OPTION;\n\
         DROP USER IF EXISTS root@localhost, root@'127.0.0.1', root@'::1';\n"
    );
    let file = home.folder.join(STATEMENTS);
    fs::write(&file, statements)?;
    home.account.own(&file)
}

pub(crate) fn command(home: &ServerHome, port: u16) -> Result<Command> {
    let mut command = home.account.command(found("mariadbd")?);
    command
        .arg("--no-defaults")
        .arg(format!("--datadir={}", home.data().display()))
        .arg(format!("--tmpdir={}", home.folder.join("tmp").display()))
        .arg(format!(
            "--init-file={}",
            home.folder.join(STATEMENTS).display()
        ))
        // Within the data directory.
        .args(["--socket=socket", "--pid-file=pid"])
        .arg(format!("--port={port}"))
        .args(SETTINGS);
    Ok(command)
}

/// Whether the server, which is this process, greets who connects. It listens before it does, so this waits, for `limit` at most.
pub(crate) fn is_ready(data: &Path, process: u32, port: u16, limit: Duration) -> bool {
    /// Follows a header of four bytes.
    const PROTOCOL: u8 = 10;

    // Another's server on that port is not ours, which writes this once it has the port.
    let is_own =
        fs::read_to_string(data.join("pid")).is_ok_and(|pid| pid.trim() == process.to_string());
    let greeting = || {
        let mut connection = TcpStream::connect(("127.0.0.1", port))?;
        connection.set_read_timeout(Some(limit))?;
        let mut greeting = [0; 5];
        connection.read_exact(&mut greeting)?;
        std::io::Result::Ok(greeting[4])
    };
    is_own && greeting().is_ok_and(|version| version == PROTOCOL)
}
