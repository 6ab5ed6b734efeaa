//! A server that tests share, for those that need no more of it than accounts and topics of their own.

use std::{
    io,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::json;
use tokio::sync::OnceCell;

use crate::{herald::Herald, http::Http};

/// A server with the default configuration that processes messages at once. It starts when the first test asks for it, and
/// ends with the process.
pub struct SharedServer {
    running: OnceCell<Running>,
    guests: AtomicU32,
}

struct Running {
    herald: Herald,
    /// An administrator's. A connection lasts no longer than the test that made it, so each test has an own client.
    token: String,
    _reaper: Child,
}

impl SharedServer {
    /// A server that has yet to start.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            running: OnceCell::const_new(),
            guests: AtomicU32::new(0),
        }
    }

    /// The server for one test, with accounts for `users`: an administrator, if that is called `admin`, or an ordinary one.
    pub async fn with_users(&self, users: &[&str]) -> Herald {
        let running = self.running.get_or_init(Running::start).await;
        let number = self.guests.fetch_add(1, Ordering::Relaxed);
        let herald = running.herald.for_guest(number);
        let admin = Http::bearer(&herald, &running.token);
        for user in users {
            let role = if *user == "admin" { "admin" } else { "user" };
            admin.create_user(&herald.name(user), role).await;
        }
        herald
    }
}

impl Default for SharedServer {
    fn default() -> Self {
        Self::new()
    }
}

impl Running {
    async fn start() -> Self {
        let herald = Herald::start().await;
        let reaper = reaper(&herald).unwrap();
        let admin = herald.http("admin").await;
        admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
        Self {
            token: admin.token(&["api"]).await,
            herald,
            _reaper: reaper,
        }
    }
}

/// Kills the server and removes its folder when this process ends, however it does: statics are not dropped.
fn reaper(herald: &Herald) -> io::Result<Child> {
    Command::new("bash")
        .args(["-c", r#"read -r; kill -s KILL "$0"; rm -rf -- "$1""#])
        .arg(herald.run().pid.to_string())
        .arg(herald.folder())
        // Closed with this process.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Not ended by what ends this process from the keyboard.
        .process_group(0)
        .spawn()
}
