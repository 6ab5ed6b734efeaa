//! Durable sends over HTTPS, beside requests on the same connections that do nothing.

use std::time::{Duration, Instant};

use anyhow::bail;
use herald_store::{Delay, Store};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    databases::Database,
    disk,
    figures::{Shown, median, percentile},
    https::{self, Connection},
    process::own_cpu,
    servers::{
        self, Server,
        herald::{Installation, Listeners},
    },
    transport::Transport,
};

/// Senders, each with a token of its own.
pub(crate) const USERS: usize = 16;

/// About what a message has.
const BODY_BYTES: usize = 100;

/// Syncs of the disk in each round.
const SYNCS: usize = 50;

/// Of how many messages it is looked at how long they took: pages, and messages in each.
const PAGES: usize = 15;
const PAGE: u32 = 200;

/// How long a server may take to come to rest between two phases, and what it may take of a processor at rest.
const REST: Duration = Duration::from_secs(60);
const AT_REST: f64 = 0.05;

/// How it is measured.
pub(crate) struct Options {
    /// Connections at once.
    pub(crate) at_once: Vec<usize>,
    /// How often all is measured.
    pub(crate) rounds: usize,
    /// How long one phase is.
    pub(crate) phase: Duration,
}

/// What is asked for, and the status that answers it.
#[derive(Clone, Copy)]
pub(crate) enum Request {
    Health,
    Send,
}

/// A connection, and what it asks.
pub(crate) struct Sender {
    connection: Connection,
    health: Vec<u8>,
    send: Vec<u8>,
}

/// What came of one phase.
#[derive(Default)]
struct Phase {
    /// Right answers, and all of them a second.
    answered: u64,
    rate: f64,
    failed: u64,
    /// In milliseconds.
    p50: f64,
    p99: f64,
    /// Processor time for one answer, in microseconds: the server's, and that of this process.
    server_cpu: f64,
    own_cpu: f64,
    /// How many were processed meanwhile for each that was accepted, in per cent.
    processed: f64,
    /// From when a message was accepted to its end, of the newest of them that ended: the 99th percentile in milliseconds.
    waited: Option<f64>,
    /// And that of the database server.
    database_cpu: Option<f64>,
}

/// A server on one of the databases.
struct Subject<'a> {
    database: &'a Database,
    installation: Installation,
    server: Server,
    /// What counts the messages.
    store: Store,
    /// Sends that were answered.
    accepted: u64,
}

pub(crate) async fn run(options: &Options, databases: &[Database]) -> anyhow::Result<()> {
    println!(
        "{USERS} users with a token each, bodies of {BODY_BYTES} bytes, HTTP/1.1 over TLS with keep-alive, no pipelining; \
         every answer is checked\n\
         medians of {} rounds, in each of which GET /healthz and POST /api/v1/messages take turns of {} ms on the same \
         connections\n",
        options.rounds,
        options.phase.as_millis()
    );
    for (delay, ms) in [("30 days", Delay::MAX_MS), ("none", 0)] {
        measure(options, databases, delay, ms).await?;
    }
    Ok(())
}

async fn measure(
    options: &Options,
    databases: &[Database],
    delay: &str,
    ms: u64,
) -> anyhow::Result<()> {
    let most = options.at_once.iter().max().copied().unwrap_or(0);
    let mut subjects = Vec::with_capacity(databases.len());
    for database in databases {
        subjects.push(Subject::start(database, ms, most + 100).await?);
    }
    println!(
        "messages wait: {delay}\n{:>8} {:>10} {:>10} {:>10} {:>7} {:>12} {:>8} {:>8} {:>12} {:>12} {:>12} {:>16} {:>11} {:>14} {:>8}",
        "at once",
        "database",
        "healthz/s",
        "sends/s",
        "ratio",
        "by sqlite's",
        "p50 ms",
        "p99 ms",
        "CPU us/send",
        "us/healthz",
        "load us/send",
        "database us/send",
        "processed %",
        "waited p99 ms",
        "failed"
    );
    let mut syncs = vec![];
    for &at_once in &options.at_once {
        let mut senders = Vec::with_capacity(subjects.len());
        for subject in &subjects {
            senders.push(open(&subject.server, at_once).await?);
        }
        let mut measured: Vec<[Vec<Phase>; 2]> = subjects.iter().map(|_| <_>::default()).collect();
        for _ in 0..options.rounds {
            for (n, subject) in subjects.iter_mut().enumerate() {
                for (kind, request) in [Request::Health, Request::Send].into_iter().enumerate() {
                    rest(&subject.server).await?;
                    let phase = subject.phase(&mut senders[n], request, options.phase);
                    measured[n][kind].push(phase.await?);
                }
                rest(&subject.server).await?;
                let waited = subject.waited().await?;
                if let Some(sends) = measured[n][1].last_mut() {
                    sends.waited = waited;
                }
            }
            syncs.extend(disk::fdatasyncs(subjects[0].installation.folder(), SYNCS)?);
        }
        for (subject, phases) in subjects.iter().zip(&measured) {
            print(at_once, subject.database, phases, &measured[0][1]);
        }
    }
    for subject in subjects {
        subject.server.process.stop();
        check(&subject.store, subject.accepted).await?;
        subject.store.close().await;
    }
    println!(
        "fdatasync of {} bytes: p50 {:.2} ms, p99 {:.2} ms\n",
        disk::BYTES,
        percentile(&mut syncs, 0.5),
        percentile(&mut syncs, 0.99)
    );
    Ok(())
}

/// `of_files` are the sends with SQLite.
fn print(at_once: usize, database: &Database, phases: &[Vec<Phase>; 2], of_files: &[Phase]) {
    let [healths, sends] = phases;
    let of = |phases: &[Phase], figure: fn(&Phase) -> f64| {
        median(&phases.iter().map(figure).collect::<Vec<_>>())
    };
    let ratio = |phases: &[Phase]| {
        let ratios = phases.iter().zip(sends).map(|(h, s)| s.rate / h.rate);
        median(&ratios.collect::<Vec<_>>())
    };
    let waited: Vec<f64> = sends.iter().filter_map(|p| p.waited).collect();
    let database_cpu: Vec<f64> = sends.iter().filter_map(|p| p.database_cpu).collect();
    println!(
        "{at_once:>8} {:>10} {:>10.0} {:>10.0} {:>7.2} {:>12.2} {:>8.2} {:>8.2} {:>12.1} {:>12.1} {:>12.1} {:>16} {:>11.0} {:>14} {:>8}",
        database.name,
        of(healths, |p| p.rate),
        of(sends, |p| p.rate),
        ratio(healths),
        ratio(of_files),
        of(sends, |p| p.p50),
        of(sends, |p| p.p99),
        of(sends, |p| p.server_cpu),
        of(healths, |p| p.server_cpu),
        of(sends, |p| p.own_cpu),
        Shown::median_of(&database_cpu, 1),
        of(sends, |p| p.processed),
        Shown::median_of(&waited, 0),
        healths.iter().chain(sends).map(|p| p.failed).sum::<u64>()
    );
}

/// Opens `count` connections, the users in turn.
pub(crate) async fn open(server: &Server, count: usize) -> anyhow::Result<Vec<Sender>> {
    let target = server.target(Transport::SecureWebSocket)?;
    let mut senders = Vec::with_capacity(count);
    for user in servers::users(USERS).iter().cycle().take(count) {
        senders.push(Sender {
            connection: Connection::open(target).await?,
            health: https::get("/healthz"),
            send: https::send(user, &"x".repeat(BODY_BYTES)),
        });
    }
    Ok(senders)
}

impl<'a> Subject<'a> {
    /// Starts a server that takes so many connections, where messages wait for so long.
    async fn start(database: &'a Database, ms: u64, connections: usize) -> anyhow::Result<Self> {
        let users = servers::users(USERS);
        let installation = Installation::create(database, &users).await?;
        let store = installation.store().await?;
        store.set_delay(Delay::Fixed { ms }, false).await?;
        let server = installation.start(Listeners::Secure, connections)?;
        Ok(Self {
            database,
            installation,
            server,
            store,
            accepted: 0,
        })
    }

    /// From when a message was accepted to its end, of the newest: the 99th percentile in milliseconds. `None`: none of them ended.
    async fn waited(&self) -> anyhow::Result<Option<f64>> {
        let (mut waited, mut before) = (vec![], None);
        for _ in 0..PAGES {
            let page = self.store.all_messages(None, None, before.as_ref(), PAGE);
            let page = page.await?;
            waited.extend(page.items.iter().filter_map(|message| {
                let ended = message.processed_at?.as_millis();
                Some((ended - message.created_at.as_millis()) as f64)
            }));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        Ok((!waited.is_empty()).then(|| percentile(&mut waited, 0.99)))
    }

    /// All of `senders` ask for as long as `length`, each again once it is answered.
    async fn phase(
        &mut self,
        senders: &mut Vec<Sender>,
        request: Request,
        length: Duration,
    ) -> anyhow::Result<Phase> {
        let process = &self.server.process;
        let (cpu, database_cpu) = ((process.cpu()?, own_cpu()?), self.database.cpu()?);
        let processed = self.store.counts().await?.processed;
        let start = Instant::now();
        let end = start + length;
        let mut tasks = JoinSet::new();
        for sender in senders.drain(..) {
            tasks.spawn(ask(sender, request, end));
        }
        let (mut took, mut phase) = (vec![], Phase::default());
        while let Some(asked) = tasks.join_next().await {
            let (sender, times, failed) = asked?;
            took.extend(times);
            phase.failed += failed;
            senders.extend(sender);
        }
        let elapsed = start.elapsed();
        let processed = self.store.counts().await?.processed - processed;
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / took.len() as f64;
        phase.answered = took.len() as u64;
        phase.processed = 100.0 * processed as f64 / took.len() as f64;
        phase.rate = took.len() as f64 / elapsed.as_secs_f64();
        phase.server_cpu = each(process.cpu()? - cpu.0);
        phase.own_cpu = each(own_cpu()? - cpu.1);
        phase.database_cpu = self.database.cpu_each(database_cpu, phase.answered)?;
        phase.p50 = percentile(&mut took, 0.5);
        phase.p99 = percentile(&mut took, 0.99);
        if senders.is_empty() {
            bail!("all connections failed");
        }
        if matches!(request, Request::Send) {
            self.accepted += phase.answered;
        }
        Ok(phase)
    }
}

/// Asks again and again until `end`; returns how long each took in milliseconds, and how many answers were wrong. The
/// connection is gone if it failed.
pub(crate) async fn ask(
    mut sender: Sender,
    request: Request,
    end: Instant,
) -> (Option<Sender>, Vec<f64>, u64) {
    let (mut took, mut failed) = (vec![], 0);
    loop {
        let start = Instant::now();
        if start >= end {
            return (Some(sender), took, failed);
        }
        let (bytes, right) = match request {
            Request::Health => (&sender.health, 200),
            Request::Send => (&sender.send, 202),
        };
        match sender.connection.ask(bytes).await {
            Ok(status) if status == right => took.push(start.elapsed().as_secs_f64() * 1e3),
            Ok(_) => failed += 1,
            Err(_) => return (None, took, failed + 1),
        }
    }
}

/// Waits until the server has nothing left to do.
pub(crate) async fn rest(server: &Server) -> anyhow::Result<()> {
    let look = Duration::from_millis(200);
    let deadline = Instant::now() + REST;
    while Instant::now() < deadline {
        let before = server.process.cpu()?;
        sleep(look).await;
        if (server.process.cpu()? - before).as_secs_f64() / look.as_secs_f64() <= AT_REST {
            return Ok(());
        }
    }
    bail!("the server does not come to rest")
}

/// Every send that was answered with 202 is in the database.
async fn check(store: &Store, accepted: u64) -> anyhow::Result<()> {
    let counts = store.counts().await?;
    let there = counts.queued + counts.processing + counts.processed;
    if there < accepted {
        bail!("{accepted} sends were accepted, and {there} are in the database");
    }
    Ok(())
}
