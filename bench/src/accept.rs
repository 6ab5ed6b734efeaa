//! Durable sends over HTTPS, beside requests on the same connections that do nothing.

use std::time::{Duration, Instant};

use anyhow::bail;
use herald_store::Delay;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    disk,
    figures::{median, percentile},
    https::{self, Connection},
    process::own_cpu,
    servers::{
        self, Server,
        herald::{Installation, Listeners},
    },
    transport::Transport,
};

/// Senders, each with a token of its own.
const USERS: usize = 16;

/// About what a message has.
const BODY_BYTES: usize = 100;

/// Syncs of the disk in each round.
const SYNCS: usize = 50;

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
enum Request {
    Health,
    Send,
}

/// A connection, and what it asks.
struct Sender {
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
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    println!(
        "{USERS} users with a token each, bodies of {BODY_BYTES} bytes, HTTP/1.1 over TLS with keep-alive, no pipelining; \
         every answer is checked\n\
         medians of {} rounds, in each of which GET /healthz and POST /api/v1/messages take turns of {} ms on the same \
         connections\n",
        options.rounds,
        options.phase.as_millis()
    );
    for (delay, ms) in [("30 days", Delay::MAX_MS), ("none", 0)] {
        measure(&options, delay, ms).await?;
    }
    Ok(())
}

async fn measure(options: &Options, delay: &str, ms: u64) -> anyhow::Result<()> {
    let users = servers::users(USERS);
    let installation = Installation::create(&users).await?;
    let store = installation.store().await?;
    store.set_delay(Delay::Fixed { ms }, false).await?;
    store.close().await;
    let most = options.at_once.iter().max().copied().unwrap_or(0);
    let server = installation.start(Listeners::Secure, most + 100)?;
    println!(
        "messages wait: {delay}\n{:>8} {:>10} {:>10} {:>7} {:>8} {:>8} {:>12} {:>12} {:>12} {:>8}",
        "at once",
        "healthz/s",
        "sends/s",
        "ratio",
        "p50 ms",
        "p99 ms",
        "CPU us/send",
        "us/healthz",
        "load us/send",
        "failed"
    );
    let (mut syncs, mut accepted) = (vec![], 0);
    for &at_once in &options.at_once {
        let mut senders = open(&server, at_once).await?;
        let mut phases: [Vec<Phase>; 2] = Default::default();
        for _ in 0..options.rounds {
            for (kind, request) in [Request::Health, Request::Send].into_iter().enumerate() {
                rest(&server).await?;
                let phase = phase(&server, &mut senders, request, options.phase).await?;
                phases[kind].push(phase);
            }
            rest(&server).await?;
            syncs.extend(disk::fdatasyncs(installation.folder(), SYNCS)?);
        }
        let [healths, sends] = &phases;
        print(at_once, healths, sends);
        accepted += sends.iter().map(|phase| phase.answered).sum::<u64>();
    }
    server.process.stop();
    check(&installation, accepted).await?;
    println!(
        "fdatasync of {} bytes: p50 {:.2} ms, p99 {:.2} ms\n",
        disk::BYTES,
        percentile(&mut syncs, 0.5),
        percentile(&mut syncs, 0.99)
    );
    Ok(())
}

fn print(at_once: usize, healths: &[Phase], sends: &[Phase]) {
    let of = |phases: &[Phase], figure: fn(&Phase) -> f64| {
        median(&phases.iter().map(figure).collect::<Vec<_>>())
    };
    let ratios = healths.iter().zip(sends).map(|(h, s)| s.rate / h.rate);
    println!(
        "{at_once:>8} {:>10.0} {:>10.0} {:>7.2} {:>8.2} {:>8.2} {:>12.1} {:>12.1} {:>12.1} {:>8}",
        of(healths, |p| p.rate),
        of(sends, |p| p.rate),
        median(&ratios.collect::<Vec<_>>()),
        of(sends, |p| p.p50),
        of(sends, |p| p.p99),
        of(sends, |p| p.server_cpu),
        of(healths, |p| p.server_cpu),
        of(sends, |p| p.own_cpu),
        healths.iter().chain(sends).map(|p| p.failed).sum::<u64>()
    );
}

/// Opens `count` connections, the users in turn.
async fn open(server: &Server, count: usize) -> anyhow::Result<Vec<Sender>> {
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

/// All of `senders` ask for as long as `length`, each again once it is answered.
async fn phase(
    server: &Server,
    senders: &mut Vec<Sender>,
    request: Request,
    length: Duration,
) -> anyhow::Result<Phase> {
    let cpu = (server.process.cpu()?, own_cpu()?);
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
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / took.len() as f64;
    phase.answered = took.len() as u64;
    phase.rate = took.len() as f64 / elapsed.as_secs_f64();
    phase.server_cpu = each(server.process.cpu()? - cpu.0);
    phase.own_cpu = each(own_cpu()? - cpu.1);
    phase.p50 = percentile(&mut took, 0.5);
    phase.p99 = percentile(&mut took, 0.99);
    if senders.is_empty() {
        bail!("all connections failed");
    }
    Ok(phase)
}

/// Asks again and again until `end`; returns how long each took in milliseconds, and how many answers were wrong. The
/// connection is gone if it failed.
async fn ask(
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
async fn check(installation: &Installation, accepted: u64) -> anyhow::Result<()> {
    let store = installation.store().await?;
    let counts = store.counts().await;
    store.close().await;
    let counts = counts?;
    let there = counts.queued + counts.processing + counts.processed;
    if there < accepted {
        bail!("{accepted} sends were accepted, and {there} are in the database");
    }
    Ok(())
}
