//! From the POST of a message to its notification at the client.
//!
//! Messages are due at fixed times, whether or not those before them were answered, and each is timed from when it was
//! due: a server that stands still delays all that should have been sent meanwhile, and that counts.

mod times;

use std::{sync::Arc, thread, time::Duration};

use anyhow::{Context as _, bail};
use parking_lot::Mutex;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    client::{Client, Login},
    clock,
    cluster::Cluster,
    databases::Database,
    disk,
    figures::{Shown, median, percentile},
    https::{self, Connection},
    packets::{self, Packet},
    process::own_cpu,
    servers,
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
pub(crate) struct Round {
    /// In milliseconds, of those that came to the last server.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    max: f64,
    /// The same since the 202 came; 0 if the notification came before.
    after_202: (f64, f64),
    /// From the server where each was heard first, which has finished it, to the others.
    pub(crate) to_others: (f64, f64),
    /// How much later than due sending began, in milliseconds.
    late_p99: f64,
    /// Not answered with 202.
    pub(crate) failed: u64,
    /// Answered so, and not heard of everywhere.
    pub(crate) missing: u64,
    /// Came again.
    pub(crate) again: u64,
    /// Processor time for one message, in microseconds: the server's, and that of this process.
    server_cpu: f64,
    own_cpu: f64,
    /// And that of the database server.
    database_cpu: Option<f64>,
    /// A sync of the disk, in milliseconds.
    sync: f64,
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
        let users = servers::users(USERS);
        let connections = SENDERS + USERS + 100;
        subjects.push(Cluster::start(database, &users, nodes, connections, None).await?);
    }
    if subjects.is_empty() {
        bail!("several nodes need a database server: --databases or --database");
    }
    println!(
        "{USERS} users, who send over HTTPS ({SENDERS} connections) and listen over WSS at QoS 1; {nodes} nodes, of which the \
         first is sent to and all are listened to; no delay; timed from when each send was due until it came to the last node; \
         'to others': from the node that has finished it, where it is heard first, to each other; medians of {rounds} rounds, max \
         of all\n"
    );
    println!(
        "{:>8} {:>10} {:>9} {:>9} {:>9} {:>13} {:>13} {:>13} {:>13} {:>10} {:>14} {:>8} {:>8} {:>7} {:>12} {:>12} {:>16} {:>13}",
        "msg/s",
        "database",
        "p50 ms",
        "p99 ms",
        "max ms",
        "p50 after 202",
        "p99 after 202",
        "p50 to others",
        "p99 to others",
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
                rounds.push(round(subject, *rate, LENGTH_S).await?);
            }
        }
    }
    for (rate, measured) in rates.iter().zip(&measured) {
        for (subject, rounds) in subjects.iter().zip(measured) {
            print(*rate, subject.database, rounds);
        }
    }
    for subject in subjects {
        subject.stop();
    }
    Ok(())
}

fn print(rate: u64, database: &Database, rounds: &[Round]) {
    let of = |figure: fn(&Round) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
    let sum = |figure: fn(&Round) -> u64| rounds.iter().map(figure).sum::<u64>();
    let database_cpu: Vec<f64> = rounds.iter().filter_map(|r| r.database_cpu).collect();
    println!(
        "{rate:>8} {:>10} {:>9.2} {:>9.2} {:>9.2} {:>13.2} {:>13.2} {:>13.2} {:>13.2} {:>10.2} {:>14.2} {:>8} {:>8} {:>7} {:>12.0} {:>12.0} {:>16} {:>13.2}",
        database.name,
        of(|r| r.p50),
        of(|r| r.p99),
        rounds.iter().map(|r| r.max).fold(0.0, f64::max),
        of(|r| r.after_202.0),
        of(|r| r.after_202.1),
        of(|r| r.to_others.0),
        of(|r| r.to_others.1),
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

/// Sends at this rate for so long, once.
pub(crate) async fn round(cluster: &Cluster<'_>, rate: u64, seconds: u64) -> anyhow::Result<Round> {
    let count = (rate * seconds).max(LEAST);
    cluster.rest().await?;
    let mut syncs = disk::fdatasyncs(cluster.installation.folder(), SYNCS)?;
    let connections = connections(cluster.first()?.target(Transport::SecureWebSocket)?).await?;
    let mut listeners = vec![];
    for (node, server) in cluster.servers.iter().enumerate() {
        let target = server.target(Transport::SecureWebSocket)?;
        listeners.push(listeners_at(target, node).await?);
    }
    cluster.rest().await?;
    let (cpu, database_cpu) = ((cluster.cpu()?, own_cpu()?), cluster.database.cpu()?);
    let none = || Mutex::new(vec![0; count as usize]);
    let times = Arc::new(Times {
        first_due: clock::now() + LEAD.as_nanos() as u64,
        step: 1_000_000_000 / rate,
        came: listeners.iter().map(|_| none()).collect(),
        answered: none(),
        again: Mutex::default(),
    });
    let mut listening = JoinSet::new();
    for (node, listeners) in listeners.into_iter().enumerate() {
        for (user, client) in listeners.into_iter().enumerate() {
            listening.spawn(listen(client, (user as u64, node), times.clone()));
        }
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
        each(cluster.cpu()?.saturating_sub(cpu.0)),
        each(own_cpu()? - cpu.1),
    );
    let database_cpu = cluster.database.cpu_each(database_cpu, count)?;
    let both = |mut took: Vec<f64>| (percentile(&mut took, 0.5), percentile(&mut took, 0.99));
    let mut took = times.took();
    let again = *times.again.lock();
    Ok(Round {
        after_202: both(times.after_202()),
        to_others: both(times.to_others()),
        p50: percentile(&mut took, 0.5),
        p99: percentile(&mut took, 0.99),
        max: percentile(&mut took, 1.0),
        late_p99: percentile(&mut late, 0.99),
        failed,
        missing: expected.saturating_sub(times.count()),
        again,
        server_cpu,
        own_cpu,
        database_cpu,
        sync: percentile(&mut syncs, 0.5),
    })
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

/// A client of each user that has subscribed to its inbox, at the server with this number: each has another client there.
async fn listeners_at(target: &Target, node: usize) -> anyhow::Result<Vec<Client>> {
    let mut listeners = Vec::with_capacity(USERS);
    for user in servers::users(USERS) {
        let mut client = Client::open(target).await?;
        let client_id = format!("{} at {node}", user.client_id);
        client
            .connect(&Login {
                client_id,
                ..user.clone()
            })
            .await?;
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

/// Notes when each notification of this user came to this server, and acknowledges it.
async fn listen(
    mut client: Client,
    (user, node): (u64, usize),
    times: Arc<Times>,
) -> anyhow::Result<()> {
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
            let mut came = times.came[node].lock();
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
