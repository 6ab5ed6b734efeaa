//! Very many lists of very many messages.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::{
    survive::{Memory, survive},
    wire,
    world::World,
};

/// How long very many messages may take to be done, and how often it is looked whether they are.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(100);

/// Connections that fill the database.
const SENDERS: usize = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_messages_that_there_are_none_of() {
    survive(
        "200 lists at once of the dead among very many messages",
        // So that they are there soon.
        &[
            ("HERALD_LIMITS__SENDS_PER_MINUTE", "0"),
            ("HERALD_LIMITS__REQUESTS_PER_MINUTE", "0"),
        ],
        Memory(200 * 1024),
        fill,
        async |world| {
            let connections = world.size.pick(50, 200);
            let requests = world.size.pick(100, 10_000);
            let dead = wire::get("/messages?status=dead&limit=1", &world.attacker);
            join_all((0..connections).map(|_| wire::repeat(world, &dead, requests))).await;
        },
    )
    .await;
}

/// Sends very many messages, and waits until all are done.
async fn fill(world: &World) {
    let messages = world.size.pick(2_000, 100_000);
    let send = wire::post("/messages", &world.attacker, r#"{"body": "one of many"}"#);
    join_all((0..SENDERS).map(|_| wire::repeat(world, &send, messages / SENDERS))).await;
    let deadline = Instant::now() + PATIENCE;
    while open_messages(world).await > 0 {
        assert!(
            Instant::now() < deadline,
            "messages that are not done within {PATIENCE:?}"
        );
        sleep(LOOK).await;
    }
}

/// Messages that have not ended.
async fn open_messages(world: &World) -> u64 {
    let queue = world.admin.http.get("/admin/queue").await.expect(200);
    let count = |status: &str| queue["counts"][status].as_u64().unwrap();
    count("queued") + count("processing")
}
