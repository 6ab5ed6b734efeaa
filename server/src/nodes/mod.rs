//! This server among those that share its database: it tells them every second that it is there, gives itself up before they
//! do, and inherits from those that are gone.

mod counters;
mod hearing;
mod heir;
mod inboxes;
mod lost_wills;
mod message;
mod relay;
mod retained;
mod rights;
mod sessions;
mod standing;
mod trouble;

use std::{future::pending, sync::Arc, time::Duration};

use anyhow::Context as _;
use herald_broker::Broker;
use herald_store::{Membership, Moment, NodeId, Store, StoreError};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub(crate) use counters::CountersOfOthers;
pub(crate) use hearing::{Hearers, hear_others};
pub(crate) use heir::inherit_from_others;
pub(crate) use inboxes::RemoteInboxes;
pub(crate) use message::TellNodes;
pub(crate) use relay::{FromOthers, relay};
pub(crate) use retained::{Followed, RetainedFollower};
pub(crate) use rights::RightsEverywhere;
pub(crate) use sessions::{Owners, SharedSessions};
pub(crate) use standing::Standing;
use trouble::Trouble;

/// How often the others are told, and how soon again if that failed.
const EVERY: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(250);

/// How often they are told at most that a change of rights is in force here: somebody waits for that.
const SOON: Duration = Duration::from_millis(50);

/// How long it may take until rights and retained messages were read, for a server that is back.
const RIGHTS: Duration = Duration::from_millis(1500);

/// How often it is tried to join at a start.
const TRIES: u32 = 5;

/// How long it may take to leave. What is not put back by then comes back when its lease ends.
const LEAVE: Duration = Duration::from_secs(3);

const TROUBLE: &str = "the other servers could not be told that this one is there";

/// What ends when this server does not stand any more.
pub(crate) trait CutOff {
    /// Ends all connections.
    fn cut_off(&self);

    /// Learns what others have done meanwhile, before anybody is let in. It may be told to try again.
    fn catch_up(&self) -> impl Future<Output = ()> + Send;

    /// The server is back.
    fn back(&self);
}

/// The sessions that this server serves.
pub(crate) struct Served {
    pub(crate) broker: Broker,
    pub(crate) sessions: Option<Arc<SharedSessions>>,
    pub(crate) retained: Followed,
}

impl CutOff for Served {
    fn cut_off(&self) {
        self.broker.cut_off();
    }

    async fn catch_up(&self) {
        // What was begun before it was cut off may have come after.
        self.broker.cut_off();
        self.retained.caught_up().await;
    }

    fn back(&self) {
        self.broker.nudge_all();
        if let Some(sessions) = &self.sessions {
            sessions.doubt();
        }
    }
}

/// This server, as one of those that share its database.
pub(crate) struct OwnNode {
    membership: Membership,
    store: Store,
    standing: Arc<Standing>,
    /// What its machine calls itself.
    name: String,
    id: NodeId,
    /// The last change of rights that is in force here.
    rights: watch::Receiver<i64>,
    /// The others cannot be told.
    trouble: Trouble,
}

impl OwnNode {
    /// Joins those that share the database of `store`; `None` if that is a file, which no other server has.
    pub(crate) async fn join(
        store: &Store,
        rights: watch::Receiver<i64>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(mut membership) = Membership::of(store) else {
            return Ok(None);
        };
        let name = machine();
        let mut tried = 0;
        let (id, told) = loop {
            let (told, seen) = (Moment::now(), *rights.borrow());
            match membership.join(&name, VERSION, seen, None).await {
                Ok(id) => break (id, told),
                Err(_) if tried < TRIES => {
                    tried += 1;
                    sleep(AGAIN).await;
                }
                Err(error) => return Err(error).context("the other servers cannot be joined"),
            }
        };
        tracing::info!(node = %id, "joined the servers of this database");
        Ok(Some(Self {
            membership,
            store: store.clone(),
            standing: Arc::new(Standing::since(told)),
            name,
            id,
            rights,
            trouble: Trouble::default(),
        }))
    }

    /// Whether it may serve.
    pub(crate) fn standing(&self) -> Arc<Standing> {
        self.standing.clone()
    }

    /// Tells the others again and again, ends what `ends` when it could not, and comes back; leaves in the end.
    pub(crate) async fn run(mut self, ends: impl CutOff, stop: CancellationToken) {
        stop.run_until_cancelled(self.go_on(&ends)).await;
        // Before others hold this one to be gone.
        match timeout(LEAVE, self.store.forget_own_wills()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "wills could not be taken back"),
            Err(_) => tracing::warn!("wills could not be taken back in time"),
        }
        match timeout(LEAVE, self.store.leave(&self.id)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(messages)) => {
                tracing::info!(messages, "unfinished messages are left to other servers");
            }
            Ok(Err(error)) => tracing::warn!(%error, "could not leave the other servers"),
            Err(_) => tracing::warn!("could not leave the other servers in time"),
        }
        self.membership.close().await;
    }

    async fn go_on(&mut self, ends: &impl CutOff) {
        loop {
            let reason = self.until_fallen().await;
            self.standing.fall();
            ends.cut_off();
            tracing::error!(
                node = %self.id,
                reason,
                "cut off from the other servers: MQTT sessions end, and no message is taken up"
            );
            self.join_again(ends).await;
            ends.back();
            tracing::info!(node = %self.id, "back among the servers of this database");
        }
    }

    /// Tells the others again and again. Returns why that has come to an end.
    async fn until_fallen(&mut self) -> &'static str {
        let mut pause = EVERY;
        loop {
            self.wait(pause.min(self.standing.left())).await;
            // Each try may fail at once.
            if !self.standing.stands() {
                return "the database could not be told for too long";
            }
            let (told, seen) = (Moment::now(), *self.rights.borrow_and_update());
            let beat = self.membership.beat(&self.id, seen);
            let Ok(beat) = timeout(self.standing.left(), beat).await else {
                return "the database could not be told for too long";
            };
            pause = match beat {
                Ok(Some(_)) if self.standing.extend(told) => EVERY,
                Ok(Some(_)) => return "the database was told too late",
                Ok(None) => return "the lease has ended",
                Err(_) => AGAIN,
            };
            self.trouble.note(beat.map(drop), TROUBLE);
        }
    }

    /// Waits for so long, or until a change of rights is in force here that the others do not know of.
    async fn wait(&mut self, pause: Duration) {
        let news = async {
            sleep(SOON).await;
            if self.rights.changed().await.is_err() {
                // There are no more.
                pending::<()>().await;
            }
        };
        // What others wait for comes before the pause is over.
        let _ = timeout(pause, news).await;
    }

    async fn join_again(&mut self, ends: &impl CutOff) {
        loop {
            let (told, seen) = (Moment::now(), *self.rights.borrow());
            let before = Some(&self.id);
            match self
                .membership
                .join(&self.name, VERSION, seen, before)
                .await
            {
                Ok(id) => {
                    self.id = id;
                    // Others wait for it from now on; what has changed before, nobody has told it.
                    let read = async {
                        self.standing.rights_read_since(Moment::now()).await;
                        ends.catch_up().await;
                    };
                    if timeout(RIGHTS, read).await.is_ok() {
                        self.standing.rise(told);
                        self.trouble.note(Ok::<_, StoreError>(()), TROUBLE);
                        return;
                    }
                }
                Err(error) => self.trouble.note(Err(error), TROUBLE),
            }
            sleep(AGAIN).await;
        }
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What this machine calls itself.
pub(crate) fn machine() -> String {
    let names = rustix::system::uname();
    names.nodename().to_string_lossy().into_owned()
}
