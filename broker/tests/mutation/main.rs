//! Mutated packet streams through whole sessions: no panic, no hang, bounded memory.
//!
//! A million streams in each run, or as many as `HERALD_MUTATIONS` says. They start from a seed that differs from run to run
//! (`HERALD_MUTATION_SEED` sets it); the stream that fails is named by the seed that begins with it, and by its bytes.

#[path = "../common/mod.rs"]
mod common;
mod corpus;
mod mutate;
mod run;
#[path = "../common/small.rs"]
mod small;
mod stream;
#[path = "../common/text.rs"]
mod text;
#[path = "../common/user.rs"]
mod user;

use std::{
    env, fs,
    ops::Range,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use herald_acl::Actions;
use herald_broker::Broker;

use common::{
    encode::{Connect, V5, publish, subscribe},
    hosts::ORIGIN,
};
use corpus::Packets;
use run::{Report, UnderWay, describe, serve_all};
use small::broker;

/// Streams in a run.
const STREAMS: u64 = 1_000_000;

/// No worker has reported for so long: some session neither waits nor ends.
const STUCK: Duration = Duration::from_secs(60);

/// How long sessions that are kept without a connection may still be there.
const KEPT: Duration = Duration::from_secs(30);

const MIB: u64 = 1024 * 1024;

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

#[test]
fn mutated_streams_do_not_bring_a_session_down() {
    let streams = number("HERALD_MUTATIONS").unwrap_or(STREAMS);
    let start = number("HERALD_MUTATION_SEED").unwrap_or_else(rand::random);
    // Without shared messages nothing is kept, and so a session that leaves anything behind shows.
    serve_and_measure(start, 0..streams / 4, Actions::Subscribe, 8 * MIB);
    // The router keeps shared messages up to a bound of its own, which is far away.
    serve_and_measure(start, streams / 4..streams, Actions::Both, 256 * MIB);
}

/// Serves the streams of the seeds that begin with `start`, those with numbers in `range`, on all cores. Fails if one does
/// not end, or if between the first tenth and the end memory grows by more than `growth` bytes.
fn serve_and_measure(start: u64, range: Range<u64>, shared: Actions, growth: u64) {
    let workers = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let streams = range.end - range.start;
    let corpus: Arc<[Packets]> = corpus::streams().into();
    let under_way = UnderWay::default();
    let (sender, reports) = mpsc::channel();
    for worker in 0..workers {
        let (corpus, under_way, sender) = (corpus.clone(), under_way.clone(), sender.clone());
        let first = start.wrapping_add(range.start);
        let share = streams * worker / workers..streams * (worker + 1) / workers;
        // Not joined: one that is stuck ends with the process.
        thread::spawn(move || work(first, share, shared, &corpus, &under_way, &sender));
    }
    drop(sender);

    let mut served = 0;
    let mut warm = None;
    loop {
        match reports.recv_timeout(STUCK) {
            Ok(Ok(more)) => served += more,
            Ok(Err(failure)) => panic!("{failure}"),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let seeds = under_way.lock().clone();
                let stuck: Vec<_> = seeds.iter().map(|s| describe(*s, &corpus)).collect();
                panic!("stuck in one of these: {stuck:#?}");
            }
        }
        if served >= streams / 10 && warm.is_none() {
            warm = resident();
        }
    }
    assert_eq!(served, streams, "a worker ended early");
    if let (Some(warm), Some(end)) = (warm, resident()) {
        let grown = end.saturating_sub(warm);
        assert!(grown < growth, "memory grew by {grown} bytes from {warm}");
    }
}

/// One broker on one thread, until the streams of all seeds in `share`, counted from `first`, are served.
fn work(
    first: u64,
    share: Range<u64>,
    shared: Actions,
    corpus: &[Packets],
    under_way: &UnderWay,
    reports: &mpsc::Sender<Report>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let broker = broker(shared).await;
        let streams = share.end - share.start;
        let seeds = share.map(|n| first.wrapping_add(n));
        serve_all(&broker, seeds, corpus, under_way, reports).await;
        if let Err(failure) = afterwards(&broker, streams).await {
            // The test is over already if nobody listens.
            let _ = reports.send(Err(failure));
        }
    });
}

/// All `streams` were counted, enough of them got far, their sessions are gone, and the broker is as good as new.
async fn afterwards(broker: &Broker, streams: u64) -> Result<(), String> {
    let metrics = broker.metrics();
    let connects = metrics.connects.get();
    if connects + metrics.connects_refused.get() != streams {
        return Err(format!(
            "{streams} connections are not what {metrics:?} says"
        ));
    }
    if streams > 1000
        && (connects < streams / 3 || metrics.notifications_sent.get() < connects / 10)
    {
        return Err(format!("of {streams} streams too few got far: {metrics:?}"));
    }
    let until = Instant::now() + KEPT;
    while broker.sessions() > 0 {
        if Instant::now() > until {
            return Err(format!("{} sessions are left", broker.sessions()));
        }
        // Those that are kept without a connection end by the clock.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    still_routes(broker).await
}

/// A message goes from one session through shared topics to itself.
async fn still_routes(broker: &Broker) -> Result<(), String> {
    let packets = [
        Connect::new(V5).bytes(),
        subscribe(V5, 1, &[], &[("last", 0)]),
        publish(V5, 0, "last", 0, &[], "still here"),
    ];
    let (mut client, server) = tokio::io::duplex(4096);
    let serving = broker.serve(server, ORIGIN, tokio::time::Instant::now() + KEPT);
    let talking = async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        client.write_all(&packets.concat()).await.ok()?;
        let mut received = vec![];
        while !received.ends_with(b"still here") {
            if client.read_buf(&mut received).await.ok()? == 0 {
                return None;
            }
        }
        drop(client);
        Some(())
    };
    match tokio::time::timeout(KEPT, async { tokio::join!(serving, talking) }).await {
        Ok(((), Some(()))) => Ok(()),
        _ => Err("shared topics do not work any more".into()),
    }
}

/// Bytes of memory that this process uses, where the system tells.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
