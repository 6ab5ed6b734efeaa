//! A pooler between Herald and PostgreSQL.

use std::{
    fs::{self, Permissions},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Stdio,
};

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{ports::free_ports, wait::until};

/// Where Debian has it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// Who it runs as if root runs the tests: it refuses to be root.
const USER: &str = "nobody";

/// pgbouncer before one database. Dropping it kills it.
pub struct PgBouncer {
    url: String,
    _child: Child,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts it before the database at `url` with this `pool_mode`. It lets in whoever comes, as the user of that URL.
    pub async fn start(url: &str, pool_mode: &str) -> Self {
        let url = url.strip_prefix("postgres://").unwrap();
        let (login, place) = url.split_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        let (address, database) = place.split_once('/').unwrap();
        let (host, server_port) = address.split_once(':').unwrap();
        let port = free_ports(1)[0];
        let folder = TempDir::with_prefix("herald-").unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let settings = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n\
             {database} = host={host} port={server_port} dbname={database} user={user} password={password}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = {pool_mode}\nignore_startup_parameters = extra_float_digits\n"
        );
        fs::write(&settings, text).unwrap();
        let child = command(&settings).spawn().unwrap();
        let bouncer = Self {
            url: format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}"),
            _child: child,
            _folder: folder,
        };
        until("pgbouncer's start", async || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        })
        .await;
        bouncer
    }

    /// The address of the database behind it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn command(settings: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    let owner = fs::metadata("/proc/self").unwrap();
    if std::os::unix::fs::MetadataExt::uid(&owner) == 0 {
        command.args(["-u", USER]);
    }
    command.arg(settings).kill_on_drop(true);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}
