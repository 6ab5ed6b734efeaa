//! How fast rights end while an attack runs.

use std::time::Duration;

use herald_tests::{
    Version,
    raw::{Connect, Raw},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    figures::Times,
    world::{ATTACKER, World},
};

/// Between two tokens that are revoked: a user may make and end a limited number in a minute.
const PAUSE: Duration = Duration::from_millis(300);

/// What ending rights took.
#[derive(Default)]
pub(crate) struct Endings {
    /// From the revocation of a token to the end of the MQTT session that lives from it.
    pub(crate) revoked: Times,
    /// From an administrator's wish to lock the attacker to its answer.
    pub(crate) locked: Times,
    /// The same to the end of the attacker's MQTT session.
    pub(crate) ended: Times,
}

/// Revokes a token of one neighbour after the other until `end`, each with a session that lives from it.
pub(crate) async fn revoke(world: &World, end: Instant) -> Times {
    let mut times = Times::default();
    for user in world.neighbours.iter().cycle() {
        if times.count() > 0 && Instant::now() >= end {
            break;
        }
        let (id, token) = user.http.token_with_id(&["mqtt"]).await;
        let connect = Connect::of(user.name).client_id("revoked").password(&token);
        let mut mqtt = Raw::connect_as(&world.herald, Version::V5, &connect).await;
        let since = Instant::now();
        user.http.delete(&format!("/tokens/{id}")).await.expect(204);
        assert_eq!(mqtt.ended().await, Some(0x87));
        times.add(since.elapsed());
        sleep(PAUSE).await;
    }
    times
}

/// Opens a session of the attacker, to be ended by [`lock`].
pub(crate) async fn attackers_session(world: &World) -> Raw {
    let connect = Connect::of(ATTACKER)
        .client_id("watched")
        .password(&world.attacker.token);
    Raw::connect_as(&world.herald, Version::V5, &connect).await
}

/// Locks the attacker.
pub(crate) async fn lock(world: &World, mut session: Raw, endings: &mut Endings) {
    let since = Instant::now();
    let path = format!("/admin/users/{ATTACKER}");
    world
        .admin
        .http
        .patch(&path, &json!({"disabled": true}))
        .await
        .expect(200);
    endings.locked.add(since.elapsed());
    assert_eq!(session.ended_at_last().await, Some(0x87));
    endings.ended.add(since.elapsed());
    world
        .attacker
        .http
        .get("/messages?limit=1")
        .await
        .expect_problem(401, "unauthenticated");
}
