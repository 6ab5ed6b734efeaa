//! Messages: taken by all servers, and finished by all.

use std::time::{Duration, Instant};

use anyhow::bail;
use herald_store::{Delay, Store};
use tokio::{task::JoinSet, time::sleep};

use super::column::{Cpu, Figures};
use crate::{
    accept::{self, Request, ask},
    backlog::{done, fill, ids},
    cluster::Cluster,
    servers,
};

/// Users who send.
pub(super) const USERS: usize = accept::USERS;

/// Connections that send, to all servers together, and for how long.
const SENDERS: usize = 96;
const LENGTH: Duration = Duration::from_secs(3);

/// How often it is looked how many are finished, and how long they may take.
const LOOK: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(60);

/// Durable sends over HTTPS to all servers in turn; they wait for 30 days.
pub(super) async fn accept(cluster: &Cluster<'_>, figures: &mut Figures) -> anyhow::Result<()> {
    set_delay(cluster, Delay::MAX_MS).await?;
    let mut senders = vec![];
    for server in &cluster.servers {
        senders.extend(accept::open(server, SENDERS / cluster.servers.len()).await?);
    }
    cluster.rest().await?;
    let cpu = Cpu::of(cluster)?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for sender in senders {
        tasks.spawn(ask(sender, Request::Send, start + LENGTH));
    }
    let (mut answered, mut failed) = (0, 0);
    while let Some(asked) = tasks.join_next().await {
        let (_, took, failures) = asked?;
        answered += took.len() as u64;
        failed += failures;
    }
    let took = start.elapsed();
    if failed > 0 || answered == 0 {
        bail!("{failed} sends failed, {answered} did not");
    }
    figures.add(
        "durable sends a second",
        answered as f64 / took.as_secs_f64(),
        0,
    );
    cpu.add_each(figures, "a send", answered)?;
    set_delay(cluster, 0).await
}

/// Messages that are due at once.
pub(super) async fn finish(
    cluster: &Cluster<'_>,
    count: usize,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let store = cluster.installation.store().await?;
    let finished = finish_all(cluster, &store, count, figures).await;
    store.close().await;
    finished
}

async fn finish_all(
    cluster: &Cluster<'_>,
    store: &Store,
    count: usize,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let owners = &servers::users(USERS);
    fill(store, owners, count).await?;
    let owners = ids(store, owners).await?;
    cluster.rest().await?;
    let cpu = Cpu::of(cluster)?;
    let (before, all) = (done(store, &owners).await?, waiting(store).await?);
    let begun = Instant::now();
    // The servers look within a second.
    store.set_delay(Delay::Fixed { ms: 0 }, true).await?;
    let (mut first, mut finished) = (None, before);
    while finished < before + all {
        if begun.elapsed() > PATIENCE {
            bail!(
                "{} of {all} messages were finished in time",
                finished - before
            );
        }
        sleep(LOOK).await;
        finished = done(store, &owners).await?;
        if finished > before {
            first.get_or_insert((finished, Instant::now()));
        }
    }
    let Some((at_first, first)) = first else {
        bail!("nothing was to be finished");
    };
    let rate = (finished - at_first) as f64 / first.elapsed().as_secs_f64();
    figures.add("messages finished a second", rate, 0);
    let all = u64::try_from(all)?;
    cpu.add_each(figures, "a finished message", all)
}

async fn waiting(store: &Store) -> anyhow::Result<i64> {
    let counts = store.counts().await?;
    Ok(i64::try_from(counts.queued + counts.processing)?)
}

async fn set_delay(cluster: &Cluster<'_>, ms: u64) -> anyhow::Result<()> {
    let store = cluster.installation.store().await?;
    let set = store.set_delay(Delay::Fixed { ms }, false).await;
    store.close().await;
    set?;
    Ok(())
}
