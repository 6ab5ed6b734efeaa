//! Sends that are on disk when they are answered, by how many wait at once.

use std::{path::Path, time::Instant};

use anyhow::bail;
use futures_util::{StreamExt as _, stream};
use herald_acl::{Role, Username};
use herald_store::{Accepted, CreateUser, Store, StoreOptions, Timestamp, UserId};

use crate::disk;

/// Syncs measured.
const SYNCS: usize = 200;

/// The database `file`, in which a user may have any number of messages.
pub(crate) fn without_quota(file: &Path) -> StoreOptions {
    StoreOptions {
        waiting_messages: u32::MAX,
        stored_bytes: 0,
        ..StoreOptions::sqlite(file)
    }
}

pub(crate) async fn run(dir: &Path) -> anyhow::Result<()> {
    let dir = tempfile::tempdir_in(dir)?;
    let syncs = disk::fdatasyncs(dir.path(), SYNCS)?;
    let sync = syncs.iter().sum::<f64>() / SYNCS as f64;
    println!("fdatasync of {} bytes: {sync:.2} ms\n", disk::BYTES);

    let store = Store::open(without_quota(&dir.path().join("herald.db"))).await?;
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
            sync / 1e3 / each.as_secs_f64()
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
