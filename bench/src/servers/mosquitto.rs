//! Debian's `mosquitto`.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use anyhow::bail;
use tempfile::TempDir;

use super::{Server, admins, await_listener, free_address};
use crate::{
    client::Login,
    process::Process,
    transport::{Target, Transport, trust},
};

/// What users may, as Herald's built-in rules have it.
const OF_USERS: &str =
    "pattern read users/%u/#\npattern write users/%u/messages\npattern read broadcast/#\n";

/// Where the program is, if it is installed.
pub(crate) fn program() -> Option<PathBuf> {
    ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
}

/// Starts it with accounts for an administrator and `users`, with TLS if there are `certificates`: the authority, the
/// server's, and its key. Passwords are hashed as its own `mosquitto_passwd` does.
pub(crate) fn start(
    program: &Path,
    users: &[Login],
    certificates: Option<&[PathBuf; 3]>,
) -> anyhow::Result<Server> {
    let folder = TempDir::with_prefix("herald-bench-")?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (passwords, acl, settings) = (path("passwords"), path("acl"), path("conf"));
    write_accounts(&passwords, users)?;
    let rules = admins().map(|admin| format!("user {}\ntopic readwrite #\n\n", admin.name));
    fs::write(&acl, rules.collect::<String>() + OF_USERS)?;
    let (listeners, targets) = listeners(certificates)?;
    let text = format!(
        "user root\npersistence false\nlog_dest none\nallow_anonymous false\nset_tcp_nodelay true\n\
         password_file {passwords}\nacl_file {acl}\n{listeners}"
    );
    fs::write(&settings, text)?;
    let mut process = Process::start(
        Command::new(program)
            .args(["-c", &settings])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )?;
    for target in &targets {
        await_listener(&mut process, target.address)?;
    }
    Ok(Server {
        name: "mosquitto",
        process,
        targets,
        _folder: Some(Arc::new(folder)),
    })
}

fn write_accounts(passwords: &str, users: &[Login]) -> anyhow::Result<()> {
    let accounts = users
        .iter()
        .cloned()
        .chain(admins())
        .fold(String::new(), |mut text, user| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}:{}", user.name, user.password);
            text
        });
    fs::write(passwords, accounts)?;
    let hashed = Command::new("mosquitto_passwd")
        .args(["-U", passwords])
        .status();
    if !hashed.is_ok_and(|s| s.success()) {
        bail!("mosquitto_passwd failed");
    }
    Ok(())
}

/// The settings of its listeners, and where they are.
fn listeners(certificates: Option<&[PathBuf; 3]>) -> anyhow::Result<(String, Vec<Target>)> {
    let mut kinds = vec![(Transport::Tcp, None), (Transport::WebSocket, None)];
    if let Some([ca, certificate, key]) = certificates {
        let tls = format!(
            "certfile {}\nkeyfile {}\n",
            certificate.display(),
            key.display()
        );
        let trust = trust(ca)?;
        for transport in [Transport::Tls, Transport::SecureWebSocket] {
            kinds.push((transport, Some((trust.clone(), tls.clone()))));
        }
    }
    let (mut text, mut targets) = (String::new(), vec![]);
    for (transport, tls) in kinds {
        let address = free_address()?;
        // Its WebSocket listener wants an interface, and would take any address instead.
        text += &match transport {
            Transport::Tcp | Transport::Tls => {
                format!("listener {} {}\n", address.port(), address.ip())
            }
            _ => format!("listener {} lo\nprotocol websockets\n", address.port()),
        };
        let trust = tls.map(|(trust, settings)| {
            text += &settings;
            trust
        });
        targets.push(Target {
            transport,
            address,
            trust,
        });
    }
    Ok((text, targets))
}
