use anyhow::Context as _;
use herald_api::{AuditAction, Event};
use herald_store::{DeadFilter, Store, Timestamp};

use super::{print, store};
use crate::{cli::QueueCommand, config::Config};

/// Runs one of the commands on the queue.
pub(crate) async fn queue(config: &Config, command: QueueCommand) -> anyhow::Result<()> {
    let store = store(config).await?;
    let done = run(&store, command).await;
    store.close().await;
    done
}

async fn run(store: &Store, command: QueueCommand) -> anyhow::Result<()> {
    let audited = |action| store.audited(Event::new(action).entry());
    match command {
        QueueCommand::Status => status(store).await?,
        QueueCommand::Pause => {
            audited(AuditAction::QueuePaused).pause().await?;
            print("the queue is paused")?;
        }
        QueueCommand::Resume => {
            audited(AuditAction::QueueResumed).resume().await?;
            print("the queue goes on")?;
        }
        QueueCommand::Retry { user, from, to } => {
            let whose = user.as_ref().map_or("everyone", |name| name.as_str());
            let event = Event::new(AuditAction::MessageRetried);
            let entry = event.detail(format!("dead messages of {whose}")).entry();
            let user = match &user {
                Some(name) => {
                    let user = store.user_by_name(name).await?;
                    let user = user.with_context(|| format!("there is no account {name}"))?;
                    Some(user.id)
                }
                None => None,
            };
            let retried = retry(&store.audited(entry), DeadFilter { user, from, to }).await?;
            print(format_args!("{retried} messages are queued again"))?;
        }
    }
    Ok(())
}

/// Retries all that `filter` takes, step by step, so that the server writes in between.
async fn retry(store: &Store, filter: DeadFilter) -> anyhow::Result<usize> {
    let (mut retried, mut next) = (0, None);
    loop {
        let step = store.retry_dead(&filter, next.as_ref(), Timestamp::now());
        let step = step.await?;
        retried += step.requeued.len();
        match step.next {
            Some(cursor) => next = Some(cursor),
            None => return Ok(retried),
        }
    }
}

async fn status(store: &Store) -> anyhow::Result<()> {
    let counts = store.counts().await?;
    for (status, count) in [
        ("queued", counts.queued),
        ("processing", counts.processing),
        ("processed", counts.processed),
        ("dead", counts.dead),
        ("cancelled", counts.cancelled),
    ] {
        print(format_args!("{status}\t{count}"))?;
    }
    let oldest = store.oldest_due().await?;
    let oldest = oldest.map_or("none".to_owned(), |due| due.to_string());
    print(format_args!("oldest due\t{oldest}"))?;
    let paused = if store.is_paused().await? {
        "yes"
    } else {
        "no"
    };
    print(format_args!("paused\t{paused}"))?;
    Ok(())
}
