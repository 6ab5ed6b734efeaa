//! From the POST of a message to its notification at the client.
//!
//! Messages are due at fixed times, whether or not those before them were answered, and each is timed from when it was
//! due: a server that stands still delays all that should have been sent meanwhile, and that counts.

mod times;

use std::{sync::Arc, thread, time::Duration};

use anyhow::{Context as _, bail};
use herald_store::Delay;
use parking_lot::Mutex;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    accept::rest,
    client::Client,
    clock,
    databases::Database,
    disk,
    figures::{Shown, median, percentile},
    https::{self, Connection},
    packets::{self, Packet},
    process::own_cpu,
    servers::{
        self, Server,
        herald::{Installation, Listeners},
    },
    transport::{Target, Transport},
};
use times::Times;

/// Users, each with a client that listens.
const USERS: usize = 16;

/// Connections that send for all of them.
const SENDERS: usize = 128;

/// How long messages are sent at one rate, and how many at least.
const LENGTH_S: u64 = 10;
const LEAST: u64 = 200;

/// How long the last messages may be under way.
const LAST: Duration = Duration::from_secs(15);

/// Before the first message is due.
const LEAD: Duration = Duration::from_millis(50);

/// About what a message has, and how many of its first characters are its number.
const BODY_BYTES: usize = 100;
const DIGITS: usize = 10;

/// Syncs of the disk in each round.
const SYNCS: usize = 50;

/// One rate, once.
struct Round {
    /// In milliseconds, of those that came.
    p50: f64,
    p99: f64,
    max: f64,
    /// The same since the 202 came; 0 if the notification came before.
    after_202: (f64, f64),
    /// How much later than due sending began, in milliseconds.
    late_p99: f64,
    /// Not answered with 202.
    failed: u64,
    /// Answered so, and not heard of.
    missing: u64,
    /// Came again.
    again: u64,
    /// Processor time for one message, in microseconds: the server's, and that of this process.
    server_cpu: f64,
    own_cpu: f64,
    /// And that of the database server.
    database_cpu: Option<f64>,
    /// A sync of the disk, in milliseconds.
    sync: f64,
}

/// Servers on one of the databases: messages are sent to the first, and listened for at the last.
struct Subject<'a> {
    database: &'a Database,
    installation: Installation,
    servers: Vec<Server>,
}

pub(crate) async fn run(
    rates: &[u64],
    rounds: usize,
    nodes: usize,
    databases: &[Database],
) -> anyhow::Result<()> {
    let mut subjects = Vec::with_capacity(databases.len());
    // A file has one server.
    for database in databases.iter().filter(|d| nodes == 1 || d.is_on_server()) {
        subjects.push(Subject::start(database, nodes).await?);
    }
    if subjects.is_empty() {
        bail!("several nodes need a database server: --databases or --database");
    }
    println!(
        "{USERS} users, who send over HTTPS ({SENDERS} connections) and listen over WSS at QoS 1; {nodes} nodes, of which the \
         first is sent to and the last listened to; no delay; timed from when each send was due; medians of {rounds} rounds, \
         max of all\n"
    );
    println!(
        "{:>8} {:>10} {:>9} {:>9} {:>9} {:>13} {:>13} {:>10} {:>14} {:>8} {:>8} {:>7} {:>12} {:>12} {:>16} {:>13}",
        "msg/s",
        "database",
        "p50 ms",
        "p99 ms",
        "max ms",
        "p50 after 202",
        "p99 after 202",
        "fdatasync",
        "p50 - 2 syncs",
        "failed",
        "missing",
        "again",
        "CPU us/msg",
        "load us/msg",
        "database us/msg",
        "sent late p99"
    );
    let mut measured: Vec<Vec<Vec<Round>>> = rates
        .iter()
        .map(|_| subjects.iter().map(|_| vec![]).collect())
        .collect();
    for _ in 0..rounds {
        for (rate, measured) in rates.iter().zip(&mut measured) {
            for (subject, rounds) in subjects.iter().zip(measured) {
                rounds.push(subject.round(*rate).await?);
            }
        }
    }
    for (rate, measured) in rates.iter().zip(&measured) {
        for (subject, rounds) in subjects.iter().zip(measured) {
            print(*rate, subject.database, rounds);
        }
    }
    for server in subjects.into_iter().flat_map(|subject| subject.servers) {
        server.process.stop();
    }
    Ok(())
}

fn print(rate: u64, database: &Database, rounds: &[Round]) {
    let of = |figure: fn(&Round) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
    let sum = |figure: fn(&Round) -> u64| rounds.iter().map(figure).sum::<u64>();
    let database_cpu: Vec<f64> = rounds.iter().filter_map(|r| r.database_cpu).collect();
    println!(
        "{rate:>8} {:>10} {:>9.2} {:>9.2} {:>9.2} {:>13.2} {:>13.2} {:>10.2} {:>14.2} {:>8} {:>8} {:>7} {:>12.0} {:>12.0} {:>16} {:>13.2}",
        database.name,
        of(|r| r.p50),
        of(|r| r.p99),
        rounds.iter().map(|r| r.max).fold(0.0, f64::max),
        of(|r| r.after_202.0),
        of(|r| r.after_202.1),
        of(|r| r.sync),
        of(|r| r.p50 - 2.0 * r.sync),
        sum(|r| r.failed),
        sum(|r| r.missing),
        sum(|r| r.again),
        of(|r| r.server_cpu),
        of(|r| r.own_cpu),
        Shown::median_of(&database_cpu, 0),
        of(|r| r.late_p99),
    );
}

impl<'a> Subject<'a> {
    async fn start(database: &'a Database, nodes: usize) -> anyhow::Result<Self> {
        let users = servers::users(USERS);
        let installation = Installation::create(database, &users).await?;
        let store = installation.store().await?;
        store.set_delay(Delay::Fixed { ms: 0 }, false).await?;
        store.close().await;
        let start = |node| installation.start_node(node, Listeners::Secure, SENDERS + USERS + 100);
        let servers = (0..nodes).map(start).collect::<anyhow::Result<_>>()?;
        Ok(Self {
            database,
            installation,
            servers,
        })
    }

    /// Sends at this rate, once.
    async fn round(&self, rate: u64) -> anyhow::Result<Round> {
        let (first, last) = (self.servers.first(), self.servers.last());
        let (first, last) = first.zip(last).context("there is no server")?;
        let count = (rate * LENGTH_S).max(LEAST);
        self.rest().await?;
        let mut syncs = disk::fdatasyncs(self.installation.folder(), SYNCS)?;
        let connections = connections(first.target(Transport::SecureWebSocket)?).await?;
        let listeners = listeners(last.target(Transport::SecureWebSocket)?).await?;
        self.rest().await?;
        let (cpu, database_cpu) = ((self.cpu()?, own_cpu()?), self.database.cpu()?);
        let times = Arc::new(Times {
            first_due: clock::now() + LEAD.as_nanos() as u64,
            step: 1_000_000_000 / rate,
            came: Mutex::new(vec![0; count as usize]),
            answered: Mutex::new(vec![0; count as usize]),
            again: Mutex::default(),
        });
        let mut listening = JoinSet::new();
        for (user, client) in listeners.into_iter().enumerate() {
            listening.spawn(listen(client, user as u64, times.clone()));
        }
        let (mut late, failed) = send_all(connections, count, &times).await?;
        let expected = count - failed;
        let deadline = Instant::now() + LAST;
        while times.count() < expected && Instant::now() < deadline {
            sleep(Duration::from_millis(20)).await;
        }
        if let Some(ended) = listening.try_join_next() {
            ended??;
        }
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / count as f64;
        let (server_cpu, own_cpu) = (
            each(self.cpu()?.saturating_sub(cpu.0)),
            each(own_cpu()? - cpu.1),
        );
        let database_cpu = self.database.cpu_each(database_cpu, count)?;
        let mut took: Vec<f64> = (0..)
            .zip(times.came.lock().iter())
            .filter(|(_, came)| **came > 0)
            .map(|(number, came)| came.saturating_sub(times.due(number)) as f64 / 1e6)
            .collect();
        let again = *times.again.lock();
        let mut after_202 = times.after_202();
        Ok(Round {
            after_202: (
                percentile(&mut after_202, 0.5),
                percentile(&mut after_202, 0.99),
            ),
            p50: percentile(&mut took, 0.5),
            p99: percentile(&mut took, 0.99),
            max: percentile(&mut took, 1.0),
            late_p99: percentile(&mut late, 0.99),
            failed,
            missing: expected.saturating_sub(took.len() as u64),
            again,
            server_cpu,
            own_cpu,
            database_cpu,
            sync: percentile(&mut syncs, 0.5),
        })
    }
}

impl Subject<'_> {
    async fn rest(&self) -> anyhow::Result<()> {
        for server in &self.servers {
            rest(server).await?;
        }
        Ok(())
    }

    /// Processor time of all servers.
    fn cpu(&self) -> anyhow::Result<Duration> {
        self.servers.iter().map(|server| server.process.cpu()).sum()
    }
}

async fn connections(target: &Target) -> anyhow::Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(SENDERS);
    for _ in 0..SENDERS {
        let mut connection = Connection::open(target).await?;
        // One that asks nothing is closed before its first turn at a low rate.
        let status = connection.ask(&https::get("/healthz")).await?;
        if status != 200 {
            bail!("/healthz answered {status}");
        }
        connections.push(connection);
    }
    Ok(connections)
}

/// A client of each user that has subscribed to its inbox.
async fn listeners(target: &Target) -> anyhow::Result<Vec<Client>> {
    let mut listeners = Vec::with_capacity(USERS);
    for user in servers::users(USERS) {
        let mut client = Client::open(target).await?;
        client.connect(&user).await?;
        let inbox = format!("users/{}/notifications", user.name);
        client.subscribe(&inbox, 1).await?;
        listeners.push(client);
    }
    Ok(listeners)
}

/// Sends `count` messages, each when it is due; returns how late each began in milliseconds, and how many failed.
async fn send_all(
    connections: Vec<Connection>,
    count: u64,
    times: &Arc<Times>,
) -> anyhow::Result<(Vec<f64>, u64)> {
    let users = Arc::new(servers::users(USERS));
    let mut senders = JoinSet::new();
    let mut turns = vec![];
    for mut connection in connections {
        // Room for all, so that handing out turns waits for nobody.
        let (turn, mut numbers) = mpsc::channel::<u64>(count as usize / SENDERS + 1);
        turns.push(turn);
        let (users, times) = (users.clone(), times.clone());
        senders.spawn(async move {
            let (mut late, mut failed) = (vec![], 0);
            while let Some(number) = numbers.recv().await {
                let body = format!("{number:0DIGITS$}{:x>1$}", "", BODY_BYTES - DIGITS);
                let request = https::send(&users[number as usize % USERS], &body);
                late.push(clock::now().saturating_sub(times.due(number)) as f64 / 1e6);
                match connection.ask(&request).await {
                    Ok(202) => times.answered.lock()[number as usize] = clock::now(),
                    _ => failed += 1,
                }
            }
            (late, failed)
        });
    }
    // A thread sleeps more precisely than a timer of the runtime, which counts in milliseconds.
    let clocked = times.clone();
    let handing_out = tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        for number in 0..count {
            let wait = clocked.due(number).saturating_sub(clock::now());
            thread::sleep(Duration::from_nanos(wait));
            let turn = &turns[number as usize % SENDERS];
            turn.try_send(number).context("a sender ended")?;
        }
        Ok(())
    });
    let (mut late, mut failed) = (vec![], 0);
    while let Some(sender) = senders.join_next().await {
        let (lates, fails) = sender?;
        late.extend(lates);
        failed += fails;
    }
    handing_out.await??;
    Ok((late, failed))
}

/// Notes when each notification of `user` came, and acknowledges it.
async fn listen(mut client: Client, user: u64, times: Arc<Times>) -> anyhow::Result<()> {
    loop {
        let packet = client.next().await?;
        let now = clock::now();
        let Packet::Publish { packet_id, payload } = packet else {
            bail!("{packet:?} instead of a notification");
        };
        let number = number(&payload).context("a notification without a number")?;
        if number % USERS as u64 != user {
            bail!("a notification of another user");
        }
        {
            let mut came = times.came.lock();
            let came = came.get_mut(number as usize).context("a number unknown")?;
            match *came {
                0 => *came = now,
                _ => *times.again.lock() += 1,
            }
        }
        if let Some(id) = packet_id {
            client.send(&packets::puback(id)).await?;
        }
    }
}

/// The number that the body of a notification begins with.
fn number(payload: &[u8]) -> Option<u64> {
    let key = b"\"body\":\"";
    let at = payload.windows(key.len()).position(|part| part == key)? + key.len();
    std::str::from_utf8(payload.get(at..at + DIGITS)?)
        .ok()?
        .parse()
        .ok()
}
