//! Serves mutated streams, some at a time, and says what went wrong.

use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    sync::{Arc, mpsc::Sender},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use herald_acl::Username;
use herald_broker::Broker;
use parking_lot::Mutex;
use rand::{SeedableRng as _, seq::IndexedRandom as _};
use tokio::time::{Instant, timeout};

use crate::{
    common::{
        hosts::{NEWEST, ORIGIN},
        inbox::notification,
    },
    corpus::Packets,
    mutate::{Chance, cuts, mutate},
    stream::drive,
};

/// Connections that one broker serves at a time.
const AT_A_TIME: usize = 8;

/// A stream is served in microseconds; a session that waits for any timer takes longer than this.
const STREAM: Duration = Duration::from_secs(20);

/// After so many streams a worker reports.
const REPORT: u64 = 500;

/// Seeds of the streams being served.
pub(crate) type UnderWay = Arc<Mutex<BTreeSet<u64>>>;

/// What a worker reports: how many streams went well since it last did, or what did not.
pub(crate) type Report = Result<u64, String>;

/// The bytes that the stream of `seed` sends, and where they are cut into reads. Those of odd seeds begin with a whole
/// CONNECT, those of even ones are damaged from the first byte.
fn stream_of(seed: u64, corpus: &[Packets]) -> (Arc<[u8]>, Vec<usize>) {
    let mut chance = Chance::seed_from_u64(seed);
    let mut packets = corpus.choose(&mut chance).expect("not empty").clone();
    let other = corpus.choose(&mut chance).expect("not empty");
    mutate(&mut packets, (seed & 1) as usize, other, &mut chance);
    let ends = packets.iter().scan(0, |end, packet| {
        *end += packet.len();
        Some(*end)
    });
    let ends = ends.collect();
    let bytes: Arc<[u8]> = packets.concat().into();
    let cuts = cuts(ends, bytes.len(), &mut chance);
    (bytes, cuts)
}

/// Serves the streams of `seeds` with `broker`, and reports.
pub(crate) async fn serve_all(
    broker: &Broker,
    seeds: impl Iterator<Item = u64>,
    corpus: &[Packets],
    under_way: &UnderWay,
    reports: &Sender<Report>,
) {
    let mut served = stream::iter(seeds.map(|seed| serve(broker, seed, corpus, under_way)))
        .buffer_unordered(AT_A_TIME);
    let mut unreported = 0;
    while let Some(result) = served.next().await {
        if let Err(failure) = result {
            let _ = reports.send(Err(failure));
            return;
        }
        unreported += 1;
        if unreported == REPORT {
            // The test is over already if nobody listens.
            let _ = reports.send(Ok(unreported));
            unreported = 0;
        }
    }
    let _ = reports.send(Ok(unreported));
}

async fn serve(
    broker: &Broker,
    seed: u64,
    corpus: &[Packets],
    under_way: &UnderWay,
) -> Result<(), String> {
    let (bytes, cuts) = stream_of(seed, corpus);
    under_way.lock().insert(seed);
    if seed.is_multiple_of(8) {
        let alice = Username::parse("alice").expect("a valid name");
        broker.notify("alice", &alice, &notification(NEWEST + 1));
    }
    let connection = broker.connection(ORIGIN, Instant::now() + STREAM * 2);
    let serving = drive(connection, &bytes, cuts);
    let served = timeout(STREAM, AssertUnwindSafe(serving).catch_unwind()).await;
    let failure = match served {
        Ok(Ok(received)) => check(&received).err(),
        Ok(Err(_)) => Some("panicked".to_owned()),
        Err(_) => Some(format!("was not over after {STREAM:?}")),
    };
    under_way.lock().remove(&seed);
    match failure {
        None => Ok(()),
        Some(failure) => Err(format!("{}: {failure}", describe(seed, corpus))),
    }
}

/// The stream of `seed`, and how to serve it again.
pub(crate) fn describe(seed: u64, corpus: &[Packets]) -> String {
    let (bytes, cuts) = stream_of(seed, corpus);
    format!(
        "HERALD_MUTATION_SEED={seed} HERALD_MUTATIONS=1: the stream {}, cut at {cuts:?}",
        hex(&bytes)
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// What a client received is nothing, or a CONNACK and then packets that a server sends, all whole.
fn check(received: &[u8]) -> Result<(), String> {
    let mut rest = received;
    let mut first = true;
    while let Some(packet) = rest.first() {
        let wrong = || Err(format!("was answered with {}", hex(received)));
        let from_server = [2, 3, 4, 5, 6, 7, 9, 11, 13, 14, 15].contains(&(packet >> 4));
        if !from_server || first != (*packet == 0x20) {
            return wrong();
        }
        let continued = rest.iter().skip(1).take_while(|b| **b & 0x80 != 0).count();
        let header = 2 + continued;
        let mut body = 0;
        for byte in rest.iter().take(header).skip(1).rev() {
            body = body << 7 | usize::from(byte & 0x7F);
        }
        match rest.get(header + body..) {
            Some(after) if continued < 4 => rest = after,
            _ => return wrong(),
        }
        first = false;
    }
    Ok(())
}
