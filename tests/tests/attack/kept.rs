//! Sessions that are kept, and what they have not acknowledged.

use futures_util::future::join_all;
use herald_tests::{
    Version,
    raw::{Connect, Raw},
};

use crate::{
    answers::fill,
    survive::{Memory, survive},
    world::{ATTACKER, World},
};

/// Notifications that a session may have under way.
const WINDOW: usize = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_sessions_with_large_notifications_under_way() {
    survive(
        "kept sessions with large notifications under way",
        &[],
        Memory(200 * 1024),
        async |_| {},
        async |world| {
            fill(world, world.size.pick(8, WINDOW)).await;
            let sessions = world.size.pick(8, 31);
            join_all((0..sessions).map(|number| take_and_leave(world, number))).await;
        },
    )
    .await;
}

/// Takes notifications from the first on, acknowledges none, and leaves a session behind.
async fn take_and_leave(world: &World, number: usize) {
    let connect = Connect::kept(ATTACKER)
        .client_id(&format!("kept-{number}"))
        .password(&world.attacker.token);
    let mut raw = Raw::open(&world.herald, Version::V5).await;
    if raw.try_login(&connect).await != Some(0) {
        return;
    }
    let inbox = format!("users/{ATTACKER}/notifications");
    raw.subscribe_all(&[(&inbox, 1)], Some("0")).await;
    // What the server has under way at most.
    let _ = raw.at_once().await;
    raw.cut().await;
}
