//! Packets without end.

use futures_util::future::join_all;
use herald_tests::{
    Version,
    raw::{Connect, Message, Raw},
};

use crate::{
    survive::{Memory, survive},
    world::{ATTACKER, World},
};

/// Connections that flood.
const CONNECTIONS: usize = 8;

/// Bytes that are handed to a connection at once, about.
const CHUNK: usize = 64 * 1024;

/// Filters of one SUBSCRIBE: as many as fit into the largest packet.
const FILTERS: usize = 11_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishes_that_are_denied() {
    let denied = Raw::publish_bytes(Version::V5, &Message::new("not/yours", "x"));
    flood("denied PUBLISHes at QoS 0", Version::V5, many(&denied)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishes_that_are_denied_in_3_1_1() {
    let denied = Raw::publish_bytes(Version::V311, &Message::new("not/yours", "x"));
    flood(
        "denied PUBLISHes at QoS 0 in 3.1.1",
        Version::V311,
        many(&denied),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribes_with_very_many_filters() {
    let filters: Vec<String> = (0..FILTERS).map(|n| format!("a/{n}")).collect();
    let filters: Vec<(&str, u8)> = filters.iter().map(|filter| (filter.as_str(), 1)).collect();
    let packet = Raw::subscribe_bytes(Version::V5, 1, &filters);
    flood("SUBSCRIBEs of 11,000 filters", Version::V5, packet).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_without_end() {
    flood("PINGREQs", Version::V5, many(&[0xC0, 0])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_whose_ends_are_never_where_a_read_ends() {
    let packet = large_puback();
    flood("large PUBACKs of nothing", Version::V5, packet).await;
}

/// A PUBACK of a packet identifier that is not in flight, with two user properties of 60,000 bytes (MQTT 5 section 3.4.2.2).
pub(crate) fn large_puback() -> Vec<u8> {
    let property = [&[0x26, 0, 1, b'x', 0xEA, 0x60][..], &[b'x'; 60_000]].concat();
    let head = [0x40, 0xD2, 0xA9, 0x07, 0, 1, 0, 0xCC, 0xA9, 0x07];
    [&head[..], &property, &property].concat()
}

/// One packet, again and again.
fn many(packet: &[u8]) -> Vec<u8> {
    packet.repeat(CHUNK / packet.len())
}

async fn flood(name: &'static str, version: Version, packets: Vec<u8>) {
    survive(
        name,
        &[],
        Memory(100 * 1024),
        async |_| {},
        async |world| {
            let chunks = world.size.pick(50, 20_000);
            let floods = (0..CONNECTIONS).map(|n| pour(world, version, n, &packets, chunks));
            join_all(floods).await;
        },
    )
    .await;
}

/// Sends `packets` so many times, and reads what comes. Connects again when the server ends the connection.
async fn pour(world: &World, version: Version, number: usize, packets: &[u8], mut chunks: usize) {
    let connect = Connect::of(ATTACKER)
        .client_id(&format!("flood-{number}"))
        .password(&world.attacker.token);
    while chunks > 0 {
        let mut raw = Raw::open(&world.herald, version).await;
        if raw.try_login(&connect).await != Some(0) {
            return;
        }
        chunks -= raw.pour(packets, chunks).await;
    }
}
