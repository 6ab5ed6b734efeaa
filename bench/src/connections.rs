//! What an idle client costs the server: memory, and the time to let it in.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::time::{Instant, sleep};

use crate::{
    client::Login,
    crowd::{connect, for_each, open, subscribe},
    databases::Database,
    figures::Shown,
    process::raise_open_files,
    servers::{
        self, Server,
        herald::{Installation, Listeners},
        mosquitto,
    },
    transport::Transport,
};

/// Files that a process has open beside its connections.
const OTHER_FILES: u64 = 200;

/// How long memory may take to settle.
const SETTLE: Duration = Duration::from_secs(15);

/// What is measured.
pub(crate) struct Options {
    /// Clients.
    pub(crate) clients: usize,
    /// Over what.
    pub(crate) transports: Vec<Transport>,
    /// Open all connections before the first signs in.
    pub(crate) stages: bool,
}

/// What one server takes for all clients over one transport.
struct Row {
    /// Resident KB a client once all are open, have signed in, have subscribed and settled.
    opened: Option<f64>,
    connected: f64,
    subscribed: f64,
    /// Connections let in, a second.
    rate: f64,
    /// The server's processor time to let one in, in microseconds.
    cpu: f64,
    failed: usize,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let allowed = raise_open_files();
    let needed = options.clients as u64 + OTHER_FILES;
    if allowed < needed {
        anyhow::bail!(
            "{} clients need {needed} open files, and {allowed} are allowed: ulimit -n {needed}",
            options.clients
        );
    }
    let users = servers::users(options.clients);
    let installation = Installation::create(&Database::SQLITE, &users).await?;
    // Makes the certificates.
    installation.start(Listeners::Secure, 1)?.process.stop();
    let program = mosquitto::program();
    if program.is_none() {
        println!("for mosquitto's figures: apt-get install mosquitto\n");
    }
    println!(
        "{} clients, each a user of its own, keep-alive 600 s, subscribed to users/NAME/notifications at QoS 1\n",
        options.clients
    );
    println!(
        "{:<10} {:<10} {:>10} {:>10} {:>10} {:>11} {:>12} {:>8}",
        "transport",
        "server",
        "KB open",
        "KB CONNACK",
        "KB idle",
        "connects/s",
        "CPU us/conn",
        "failed"
    );
    for &transport in &options.transports {
        let listeners = match transport {
            Transport::Tcp | Transport::WebSocket => Listeners::Plain,
            Transport::Tls | Transport::SecureWebSocket => Listeners::Secure,
        };
        let herald = installation.start(listeners, options.clients + 100)?;
        let herald = measure(herald, transport, &users, options.stages).await?;
        print(transport, "Herald", &herald);
        if let Some(program) = &program {
            let certificates = installation.certificates();
            let other = mosquitto::start(program, &users, Some(&certificates))?;
            match measure(other, transport, &users, options.stages).await {
                Ok(other) => {
                    print(transport, "mosquitto", &other);
                    print(transport, "ratio", &herald.over(&other));
                }
                // It need not survive this, and Herald's figures stand alone, too.
                Err(e) => println!("{transport:<10} mosquitto failed: {e}"),
            }
        }
    }
    Ok(())
}

impl Row {
    fn over(&self, other: &Self) -> Self {
        Self {
            opened: self.opened.zip(other.opened).map(|(a, b)| a / b),
            connected: self.connected / other.connected,
            subscribed: self.subscribed / other.subscribed,
            rate: self.rate / other.rate,
            cpu: self.cpu / other.cpu,
            failed: 0,
        }
    }
}

fn print(transport: Transport, server: &str, row: &Row) {
    let digits = if server == "ratio" { 2 } else { 0 };
    println!(
        "{transport:<10} {server:<10} {:>10} {:>10.1} {:>10.1} {:>11.*} {:>12.*} {:>8}",
        Shown(row.opened, 1),
        row.connected,
        row.subscribed,
        digits,
        row.rate,
        digits,
        row.cpu,
        row.failed
    );
}

/// Connects all `users`, and ends the server.
async fn measure(
    server: Server,
    transport: Transport,
    users: &[Login],
    stages: bool,
) -> anyhow::Result<Row> {
    let target = Arc::new(server.target(transport)?.clone());
    let before = settled(&server).await?;
    let each = |kb: f64| (kb - before) / users.len() as f64;
    let cpu = server.process.cpu()?;
    let mut start = Instant::now();
    let mut opened = None;
    let connected = if stages {
        let clients = for_each(users.to_vec(), move |login| open(target.clone(), login)).await;
        let took = start.elapsed();
        opened = Some(each(settled(&server).await?));
        start = Instant::now() - took;
        for_each(clients, connect).await
    } else {
        let open_and_connect = move |login| {
            let opening = open(target.clone(), login);
            async move { connect(opening.await?).await }
        };
        for_each(users.to_vec(), open_and_connect).await
    };
    let took = start.elapsed();
    let cpu = server.process.cpu()? - cpu;
    let count = connected.len() as f64;
    let after_connect = each(settled(&server).await?);
    let subscribed = for_each(connected, subscribe).await;
    let after_subscribe = each(settled(&server).await?);
    let alive = for_each(subscribed, |(mut client, login)| async move {
        client
            .is_alive()
            .await
            .then_some((client, login))
            .context("gone")
    })
    .await;
    let row = Row {
        opened,
        connected: after_connect,
        subscribed: after_subscribe,
        rate: count / took.as_secs_f64(),
        cpu: cpu.as_secs_f64() * 1e6 / count,
        failed: users.len() - alive.len(),
    };
    drop(alive);
    server.process.stop();
    Ok(row)
}

/// Resident KB once it does not change any more.
async fn settled(server: &Server) -> anyhow::Result<f64> {
    let deadline = Instant::now() + SETTLE;
    let mut last = server.process.resident_kb()?;
    let mut quiet = 0;
    while quiet < 4 && Instant::now() < deadline {
        sleep(Duration::from_millis(250)).await;
        let now = server.process.resident_kb()?;
        quiet = if (now - last).abs() < 100.0 {
            quiet + 1
        } else {
            0
        };
        last = now;
    }
    Ok(last)
}
