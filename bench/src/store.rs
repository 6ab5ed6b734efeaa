//! Sends that are on disk when they are answered, by how many wait at once.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::bail;
use futures_util::{StreamExt as _, stream};
use herald_acl::{Role, Username};
use herald_store::{Accepted, CreateUser, Store, StoreOptions, Timestamp, UserId};

/// Syncs measured, and their bytes each.
const SYNCS: u32 = 200;
const SYNC_BYTES: usize = 4096;

pub(crate) async fn run(dir: &Path) -> anyhow::Result<()> {
    let dir = tempfile::tempdir_in(dir)?;
    let sync = fdatasync(dir.path())?;
    println!(
        "fdatasync of {SYNC_BYTES} bytes: {:.2} ms\n",
        sync.as_secs_f64() * 1e3
    );

    let store = Store::open(StoreOptions::sqlite(&dir.path().join("herald.db"))).await?;
    let alice = Username::parse("alice")?;
    let created = store
        .create_user(&alice, Role::User, "-", Timestamp::now())
        .await?;
    let CreateUser::Created(user) = created else {
        bail!("a new database has no accounts");
    };
    println!(
        "{:>10} {:>12} {:>22}",
        "at once", "sends/s", "sends per fdatasync"
    );
    for (at_once, sends) in [(1, 1_000), (16, 10_000), (256, 40_000)] {
        let start = Instant::now();
        send(&store, &user.id, at_once, sends).await?;
        let each = start.elapsed() / sends;
        println!(
            "{at_once:>10} {:>12.0} {:>22.1}",
            1.0 / each.as_secs_f64(),
            sync.as_secs_f64() / each.as_secs_f64()
        );
    }
    store.close().await;
    Ok(())
}

async fn send(store: &Store, user: &UserId, at_once: usize, sends: u32) -> anyhow::Result<()> {
    let mut answers = stream::iter(0..sends)
        .map(|i| store.accept(user, format!("message {i}"), None, Timestamp::now()))
        .buffer_unordered(at_once);
    while let Some(answer) = answers.next().await {
        if !matches!(answer?, Accepted::New(_)) {
            bail!("a send without a key is always new");
        }
    }
    Ok(())
}

/// What the disk takes to make a small write durable.
fn fdatasync(dir: &Path) -> std::io::Result<Duration> {
    let mut file = File::create(dir.join("sync"))?;
    let start = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&[7; SYNC_BYTES])?;
        file.sync_data()?;
    }
    Ok(start.elapsed() / SYNCS)
}
