//! As much text as one user can send.

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    answers::control_characters,
    survive::{Memory, survive},
    wire,
};

/// Connections that send.
const SENDERS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_texts_as_fast_as_they_are_taken() {
    survive(
        "sends of 64 KiB of control characters",
        &[],
        Memory(160 * 1024),
        async |_| {},
        async |world| {
            let body = json!({"body": control_characters()}).to_string();
            let request = wire::post("/messages", &world.attacker, &body);
            let each = world.size.pick(5, 1_000);
            join_all((0..SENDERS).map(|_| wire::repeat(world, &request, each))).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_texts_as_fast_as_they_are_taken() {
    survive(
        "sends on 256 connections",
        &[],
        Memory(160 * 1024),
        async |_| {},
        async |world| {
            let request = wire::post("/messages", &world.attacker, r#"{"body": "x"}"#);
            let each = world.size.pick(2, 2_000);
            join_all((0..256).map(|_| wire::repeat(world, &request, each))).await;
        },
    )
    .await;
}
