//! Follows what the servers that share the database save of retained messages.

use std::{sync::Arc, time::Duration};

use herald_broker::{Broker, RetainedChange};
use herald_store::{RetainedRow, Store, StoreError, Timestamp};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::trouble::Trouble;
use crate::host::retained;

/// How often it is looked for what nobody told.
const EVERY: Duration = Duration::from_secs(1);

/// How often it is looked for topics of which it is not known what is saved.
const SETTLE: Duration = Duration::from_millis(250);

const TROUBLE: &str =
    "what other servers retain cannot be read; it will be tried again until it can";

/// Brings what is saved to the broker, in the order of commits.
pub(crate) struct RetainedFollower {
    store: Store,
    broker: Broker,
    /// The last change that the broker knows, with all before it.
    seen: i64,
    look: Arc<Notify>,
    passes: watch::Sender<Passes>,
    trouble: Trouble,
}

/// A pass brings all that was saved before it began.
#[derive(Debug, Default, Clone, Copy)]
struct Passes {
    begun: u64,
    /// The last one that has succeeded.
    done: u64,
}

/// How far the follower is.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    look: Arc<Notify>,
    passes: watch::Receiver<Passes>,
}

impl Followed {
    /// Has the follower look for what is new.
    pub(crate) fn look(&self) {
        self.look.notify_one();
    }

    /// Waits until the broker knows all that is saved by now, for as long as it takes.
    pub(crate) async fn caught_up(&self) {
        let mut passes = self.passes.clone();
        let next = passes.borrow().begun + 1;
        self.look();
        if passes.wait_for(|p| p.done >= next).await.is_err() {
            // This server stops.
            std::future::pending::<()>().await;
        }
    }
}

impl RetainedFollower {
    /// Of a `broker` that was started after the change `seen` was the last one.
    pub(crate) fn new(store: Store, broker: Broker, seen: i64) -> Self {
        Self {
            store,
            broker,
            seen,
            look: Arc::default(),
            passes: watch::Sender::default(),
            trouble: Trouble::default(),
        }
    }

    /// What tells how far it is.
    pub(crate) fn followed(&self) -> Followed {
        Followed {
            look: self.look.clone(),
            passes: self.passes.subscribe(),
        }
    }

    /// Follows until stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&mut self) {
        let mut ticks = interval(SETTLE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let look = self.look.clone();
        let mut looked = Instant::now();
        loop {
            let told = tokio::select! {
                () = look.notified() => true,
                _ = ticks.tick() => false,
            };
            let followed = if told || looked.elapsed() >= EVERY {
                looked = Instant::now();
                self.pass().await
            } else {
                self.settle().await
            };
            self.trouble.note(followed, TROUBLE);
        }
    }

    /// Brings what was saved before this begins.
    async fn pass(&mut self) -> Result<(), StoreError> {
        self.passes.send_modify(|passes| passes.begun += 1);
        if self.broker.all_retained_doubtful() {
            self.bring_all().await?;
        } else {
            self.bring_new().await?;
        }
        self.settle().await?;
        self.passes.send_modify(|passes| passes.done = passes.begun);
        Ok(())
    }

    async fn bring_new(&mut self) -> Result<(), StoreError> {
        let mut until = None;
        loop {
            let Some(changes) = self.store.retained_since(self.seen).await? else {
                return self.bring_all().await;
            };
            let is_last = changes.len() < Store::RETAINED;
            if let Some(last) = changes.last() {
                self.seen = last.revision;
                self.broker
                    .apply_retained(changes.into_iter().map(change).collect());
            }
            if is_last || until.is_some_and(|until| self.seen >= until) {
                return Ok(());
            }
            // Others may save as fast as this reads.
            if until.is_none() {
                until = Some(self.store.last_retained_change().await?);
            }
        }
    }

    async fn bring_all(&mut self) -> Result<(), StoreError> {
        // Read first: a change in between is brought once more, and not missed.
        let last = self.store.last_retained_change().await?;
        let all = self.store.retained(Timestamp::now()).await?;
        self.broker
            .apply_all_retained(all.into_iter().map(retained).collect());
        self.seen = last;
        Ok(())
    }

    /// Brings what is saved of the topics of which that is not known.
    async fn settle(&self) -> Result<(), StoreError> {
        loop {
            let topics = self.broker.doubtful_retained(Store::RETAINED);
            if topics.is_empty() {
                return Ok(());
            }
            let names: Vec<_> = topics.iter().map(|topic| &**topic).collect();
            let rows = self.store.retained_of(&names).await?;
            let kept = rows.into_iter().filter_map(|row| row.message);
            self.broker
                .settle_retained(&topics, kept.map(retained).collect());
        }
    }
}

fn change(row: RetainedRow) -> RetainedChange {
    match row.message {
        Some(message) => RetainedChange::Set(retained(message)),
        None => RetainedChange::Clear { topic: row.topic },
    }
}
