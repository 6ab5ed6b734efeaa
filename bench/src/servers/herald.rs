//! The real binary.

use std::{
    env,
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use futures_util::{TryStreamExt as _, stream};
use herald_acl::{Role, Username};
use herald_store::{
    CreateToken, CreateUser, NewToken, Scopes, Store, Timestamp, TokenId, TokenOrigin, UserId,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{SESSIONS, Server, admins, await_start};
use crate::{
    client::Login,
    databases::{Database, Made},
    process::Process,
    transport::{Target, Transport, trust},
};

/// Accounts made at once.
const AT_ONCE: usize = 256;

/// A folder and a database of accounts, which one server after the other may use.
pub(crate) struct Installation {
    database: Made,
    folder: Arc<TempDir>,
    program: PathBuf,
}

/// Which listeners the server has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listeners {
    /// TCP and WS.
    Plain,
    /// TCP, TLS and WSS.
    Secure,
}

/// What the server says of itself when it is ready.
#[derive(Deserialize)]
struct Run {
    pid: u32,
    http: SocketAddr,
    mqtt_tls: Option<SocketAddr>,
    mqtt_tcp: Option<SocketAddr>,
}

impl Installation {
    /// Makes administrators and `users`, whose passwords become tokens, in a database of this kind. They are written as the
    /// server writes them, but that no password is hashed.
    pub(crate) async fn create(database: &Database, users: &[Login]) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("herald-bench-")?;
        let data = folder.path().join("data");
        fs::create_dir(&data)?;
        let database = database.make(&data).await;
        let store = database.open().await?;
        let made = async {
            for admin in admins() {
                create(&store, &admin, Role::Admin).await?;
            }
            stream::iter(users.iter().map(Ok))
                .try_for_each_concurrent(AT_ONCE, |user| create(&store, user, Role::User))
                .await
        };
        let made = made.await;
        store.close().await;
        made?;
        Ok(Self {
            database,
            folder: Arc::new(folder),
            // Now, as it may be built: that is no part of a start.
            program: program()?,
        })
    }

    /// Where its files are, and whatever should be on the same disk.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its database, beside any server that has it open.
    pub(crate) async fn store(&self) -> anyhow::Result<Store> {
        self.database.open().await
    }

    /// The certificate of its local authority and its server's certificate and key, once a server with TLS was started.
    pub(crate) fn certificates(&self) -> [PathBuf; 3] {
        ["ca.pem", "server.pem", "server.key"]
            .map(|name| self.folder.path().join("data/tls").join(name))
    }

    /// Starts a server that takes `connections` from one address.
    pub(crate) fn start(&self, listeners: Listeners, connections: usize) -> anyhow::Result<Server> {
        self.start_node(0, listeners, connections, None)
    }

    /// The same, of several on one database: each has a number. `relay`: the URL of what carries shared topics among them.
    pub(crate) fn start_node(
        &self,
        number: usize,
        listeners: Listeners,
        connections: usize,
        relay: Option<&str>,
    ) -> anyhow::Result<Server> {
        let (data, log) = match number {
            0 => ("data".to_owned(), "log".to_owned()),
            _ => (format!("data{number}"), format!("log{number}")),
        };
        let (data, log) = (self.folder.path().join(data), self.folder.path().join(log));
        let mut command = Command::new(&self.program);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("HERALD_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.folder.path())
            .arg("--data-dir")
            .arg(&data)
            .env("HERALD_HTTP__LISTEN", "127.0.0.1:0")
            .env("HERALD_MQTT__LISTEN_TCP", "127.0.0.1:0")
            .env(
                "HERALD_LIMITS__CONNECTIONS_PER_ADDRESS",
                connections.to_string(),
            )
            .env("HERALD_LIMITS__SESSIONS_PER_USER", SESSIONS.to_string())
            .env("HERALD_LIMITS__PUBLISHES_PER_S", "0")
            .env("HERALD_LIMITS__REQUESTS_PER_MINUTE", "0")
            .env("HERALD_LIMITS__REQUESTS_PER_MINUTE_PER_ADDRESS", "0")
            .env("HERALD_LIMITS__SENDS_PER_MINUTE", "0")
            .env("HERALD_LIMITS__WAITING_MESSAGES", u32::MAX.to_string());
        match listeners {
            Listeners::Secure => command.env("HERALD_MQTT__LISTEN_TLS", "127.0.0.1:0"),
            Listeners::Plain => command
                .env("HERALD_MQTT__LISTEN_TLS", "")
                .env("HERALD_TLS__MODE", "off"),
        };
        if let Some(url) = self.database.url() {
            command.env("HERALD_DATABASE__URL", url);
        }
        if let Some(relay) = relay {
            command.env("HERALD_CLUSTER__RELAY", relay);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let mut process = Process::start(&mut command)?;
        let pid = process.child().id();
        let run = await_start(&mut process, || read_run(&data).filter(|r| r.pid == pid));
        let run = run.with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(Server {
            name: "Herald",
            process,
            targets: targets(&run, listeners, &data)?,
            _folder: Some(self.folder.clone()),
        })
    }
}

async fn create(store: &Store, login: &Login, role: Role) -> anyhow::Result<()> {
    let (name, now) = (Username::parse(&login.name)?, Timestamp::now());
    let CreateUser::Created(user) = store.create_user(&name, role, "-", now).await? else {
        bail!("a new database has no accounts");
    };
    create_token(store, &user.id, &login.password).await?;
    Ok(())
}

/// Makes this the secret of a token, and returns its id.
pub(crate) async fn create_token(
    store: &Store,
    user: &UserId,
    secret: &str,
) -> anyhow::Result<TokenId> {
    let token = NewToken {
        name: "bench".into(),
        scopes: Scopes {
            api: true,
            mqtt: true,
        },
        token_hash: format!("{:x}", Sha256::digest(secret)),
        expires_at: None,
        origin: TokenOrigin::Owner,
    };
    match store.create_token(user, token, Timestamp::now()).await? {
        CreateToken::Created(token) => Ok(token.id),
        refused => bail!("no token: {refused:?}"),
    }
}

fn targets(run: &Run, listeners: Listeners, data: &Path) -> anyhow::Result<Vec<Target>> {
    let target = |transport, address, trust| Target {
        transport,
        address,
        trust,
    };
    let tcp = run.mqtt_tcp.context("no address of MQTT over TCP")?;
    let tcp = target(Transport::Tcp, tcp, None);
    Ok(match listeners {
        Listeners::Plain => vec![tcp, target(Transport::WebSocket, run.http, None)],
        Listeners::Secure => {
            let trust = trust(&data.join("tls/ca.pem"))?;
            let tls = run.mqtt_tls.context("no address of MQTT over TLS")?;
            vec![
                tcp,
                target(Transport::Tls, tls, Some(trust.clone())),
                target(Transport::SecureWebSocket, run.http, Some(trust)),
            ]
        }
    })
}

fn read_run(data: &Path) -> Option<Run> {
    serde_json::from_slice(&fs::read(data.join("run.json")).ok()?).ok()
}

/// `HERALD_BIN`, or the one beside this program, which is built if need be.
fn program() -> anyhow::Result<PathBuf> {
    if let Some(path) = env::var_os("HERALD_BIN") {
        return Ok(path.into());
    }
    let status = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["build", "--quiet", "--release", "--package", "herald"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    if !status.is_ok_and(|s| s.success()) {
        bail!("cargo build --release --package herald failed; HERALD_BIN names another binary");
    }
    Ok(env::current_exe()?.with_file_name("herald"))
}
