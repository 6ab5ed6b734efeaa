//! Waits until changes of rights are in force on every server that shares the database.

mod reached;
mod waiting;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use herald_api::InForce;
use herald_store::{Node, Store, StoreError, Timestamp};
use tokio::{
    sync::{Mutex, Notify, watch},
    time::{sleep, timeout},
};

use super::message::TellNodes;
use reached::Reached;
use waiting::{Stage, Waiting};

/// How long is waited at most: longer than others are held to be there that say nothing any more.
const LONGEST: Duration = Duration::from_secs(6);

/// How often it is looked how far the others are.
const LOOK: Duration = Duration::from_millis(50);

/// The way to know that changes of rights are in force everywhere.
pub(crate) struct RightsEverywhere {
    store: Store,
    /// `None` in a process that holds no sessions.
    own: Option<Own>,
    /// The last look at the others, which serves all who wait.
    others: Mutex<Option<Others>>,
}

/// How far this server is.
struct Own {
    in_force: watch::Receiver<i64>,
    look: Arc<Notify>,
    others: TellNodes,
}

/// How far others are, read from the database since `asked`.
struct Others {
    asked: Instant,
    nodes: Arc<[Node]>,
}

impl RightsEverywhere {
    /// That of a server: `in_force` is the last change that is in force there, and `look` makes it look for more, as telling the
    /// `others` does them.
    pub(crate) fn of_server(
        store: &Store,
        in_force: watch::Receiver<i64>,
        look: Arc<Notify>,
        others: TellNodes,
    ) -> Self {
        Self {
            own: Some(Own {
                in_force,
                look,
                others,
            }),
            ..Self::of_command(store)
        }
    }

    /// That of a process which does not serve.
    pub(crate) fn of_command(store: &Store) -> Self {
        Self {
            store: store.clone(),
            own: None,
            others: Mutex::default(),
        }
    }

    /// Waits until all changes that are committed by now are in force everywhere, or cannot be waited for any longer. Nothing
    /// of it goes on when the caller stops waiting.
    pub(crate) async fn reached(&self) -> Reached {
        if let Some(own) = &self.own {
            own.look.notify_one();
            own.others.rights();
        }
        let mut waiting = Waiting::default();
        let all = timeout(LONGEST, self.wait(&mut waiting)).await;
        match all {
            Ok(()) if waiting.given_up.is_empty() => Reached::All,
            Ok(()) => Reached::GivenUp(waiting.given_up),
            Err(_) => Reached::Unknown(waiting.unknown()),
        }
    }

    /// The same, with what is not as usual in the log.
    pub(crate) async fn reached_logged(&self) -> InForce {
        let reached = self.reached().await;
        if reached != Reached::All {
            tracing::warn!(%reached, "changed rights were waited for");
        }
        InForce::from(&reached)
    }

    /// Waits for as long as it takes; what keeps it is in `waiting`.
    async fn wait(&self, waiting: &mut Waiting) {
        let number = loop {
            match self.store.last_rights_change().await {
                Ok(number) => break number,
                Err(error) => waiting.failed(&error),
            }
            sleep(LOOK).await;
        };
        if let Some(own) = &self.own {
            waiting.stage = Stage::Here;
            let mut in_force = own.in_force.clone();
            if in_force.wait_for(|last| *last >= number).await.is_err() {
                // This server stops: others may learn of it, but nobody here will.
                return std::future::pending().await;
            }
        }
        if self.store.is_exclusive() {
            return;
        }
        waiting.stage = Stage::There;
        let mut since = Instant::now();
        loop {
            match self.others(since).await {
                Ok(nodes) => {
                    let own = self.own.as_ref().and_then(|_| self.store.node());
                    waiting.look(&nodes, own.as_ref(), number, Timestamp::now());
                    if waiting.behind.is_empty() {
                        return;
                    }
                }
                Err(error) => waiting.failed(&error),
            }
            sleep(LOOK).await;
            since = Instant::now();
        }
    }

    /// How far all servers are, asked at `since` or later: of many who wait, one asks.
    async fn others(&self, since: Instant) -> Result<Arc<[Node]>, StoreError> {
        let mut others = self.others.lock().await;
        if let Some(Others { asked, nodes }) = &*others
            && *asked >= since
        {
            return Ok(Arc::clone(nodes));
        }
        let asked = Instant::now();
        let nodes: Arc<[Node]> = self.store.nodes().await?.into();
        *others = Some(Others {
            asked,
            nodes: Arc::clone(&nodes),
        });
        Ok(nodes)
    }
}
