//! A server with an attacker, its neighbours and an administrator.

use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use herald_tests::{Herald, Http};
use serde_json::json;
use tokio::time::sleep;

use crate::size::Size;

/// Who attacks.
pub(crate) const ATTACKER: &str = "mallory";

/// Who is to notice nothing.
pub(crate) const NEIGHBOURS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Between two looks at the server's memory.
const LOOK: Duration = Duration::from_millis(20);

/// Who an account is to the server.
pub(crate) struct Account {
    pub(crate) name: &'static str,
    pub(crate) http: Http,
    pub(crate) token: String,
}

/// What is on disk, in KB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk {
    pub(crate) database: u64,
    /// The log of the database.
    pub(crate) wal: u64,
    /// What the server has logged.
    pub(crate) log: u64,
}

/// All that an attack needs.
pub(crate) struct World {
    pub(crate) size: Size,
    pub(crate) herald: Herald,
    pub(crate) admin: Account,
    pub(crate) attacker: Account,
    pub(crate) neighbours: Vec<Account>,
    /// Resident memory of the server at its most, in KB.
    peak: AtomicU64,
}

impl World {
    /// A server without TLS, so that attacks cost the attacker little, with these settings besides the defaults. Messages are
    /// processed at once.
    pub(crate) async fn begin(settings: &[(&str, &str)]) -> Self {
        let plain = [
            ("HERALD_TLS__MODE", "off"),
            // Attacker and neighbours have one address here, and what it may do is no help to either.
            ("HERALD_LIMITS__REQUESTS_PER_MINUTE_PER_ADDRESS", "0"),
        ];
        let herald = Herald::start_with(&[&plain, settings].concat()).await;
        let admin = account(&herald, "admin").await;
        admin
            .http
            .set_delay(json!({"mode": "fixed", "ms": 0}))
            .await;
        admin.http.create_user(ATTACKER, "user").await;
        let attacker = account(&herald, ATTACKER).await;
        let mut neighbours = vec![];
        for name in NEIGHBOURS {
            admin.http.create_user(name, "user").await;
            neighbours.push(account(&herald, name).await);
        }
        Self {
            size: Size::from_env(),
            herald,
            admin,
            attacker,
            neighbours,
            peak: AtomicU64::new(0),
        }
    }

    /// Resident memory of the server, in KB.
    pub(crate) fn memory(&self) -> u64 {
        let file = format!("/proc/{}/status", self.herald.run().pid);
        let status = fs::read_to_string(file).expect("the server lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kb = line.and_then(|line| line.split_whitespace().next());
        kb.expect("Linux tells").parse().unwrap()
    }

    /// What the server has on disk.
    pub(crate) fn disk(&self) -> Disk {
        let data = self.herald.data_dir();
        let size = |name: &str| fs::metadata(data.join(name)).map_or(0, |file| file.len()) / 1024;
        Disk {
            database: size("herald.db"),
            wal: size("herald.db-wal"),
            log: self.herald.stderr().len() as u64 / 1024,
        }
    }

    /// Looks at the server's memory for ever.
    pub(crate) async fn watch_memory(&self) {
        loop {
            self.peak.fetch_max(self.memory(), Ordering::Relaxed);
            sleep(LOOK).await;
        }
    }

    /// The most that was seen, in KB.
    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

async fn account(herald: &Herald, name: &'static str) -> Account {
    let token = herald.cli(&["token", "create", name]).succeed().await;
    let token = token.trim().to_owned();
    Account {
        name,
        http: Http::bearer(herald, &token),
        token,
    }
}
