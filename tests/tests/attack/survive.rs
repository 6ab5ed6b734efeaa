//! One attack, from a quiet server to the lock on the attacker's account.

use std::future::pending;

use tokio::{sync::Mutex, time::Instant};

use crate::{
    neighbours::{self, Noticed},
    report::Report,
    rights::{self, Endings},
    world::World,
};

/// One attack at a time: each is measured by itself.
static TURN: Mutex<()> = Mutex::const_new(());

/// How much memory the server may take in an attack, besides what it took before, in KB.
pub(crate) struct Memory(pub(crate) u64);

/// Runs `attack` on a server with `settings`, and checks what the neighbours notice. `prepare` comes before anything is measured.
/// An attack that comes to an end has nothing more to do; one that does not is ended.
pub(crate) async fn survive(
    name: &'static str,
    settings: &[(&str, &str)],
    memory: Memory,
    prepare: impl AsyncFnOnce(&World),
    attack: impl AsyncFnOnce(&World),
) {
    let _turn = TURN.lock().await;
    let world = World::begin(settings).await;
    prepare(&world).await;
    let (before, disk) = (world.memory(), world.disk());
    let quiet = neighbours::watch(&world).await;
    let session = rights::attackers_session(&world).await;
    let mut endings = Endings::default();
    let measured = async {
        let (noticed, revoked) = tokio::join!(
            neighbours::watch(&world),
            rights::revoke(&world, Instant::now() + world.size.watch()),
        );
        endings.revoked = revoked;
        rights::lock(&world, session, &mut endings).await;
        noticed
    };
    let attacking = async {
        attack(&world).await;
        pending::<Noticed>().await
    };
    let watching = async {
        world.watch_memory().await;
        unreachable!("it looks for ever")
    };
    let noticed = tokio::select! {
        noticed = measured => noticed,
        noticed = attacking => noticed,
        noticed = watching => noticed,
    };
    let report = Report {
        name,
        size: world.size,
        before,
        peak: world.peak(),
        allowed: memory.0,
        disk: [disk, world.disk()],
        quiet,
        noticed,
        endings,
    };
    println!("{report}");
    report.judge();
}
