//! Sessions among servers that share a database: which of them has a session is written down, and whichever had it is ordered to
//! end it.

mod check;
mod departures;
mod listed;
mod orders;
mod rows;
mod wills;

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::Username;
use herald_api::LiveConnection;
use herald_broker::{Arrival, Broker, NotOwned, OwnSession, Owned, SessionOwners};
use herald_store::{Seq, SessionKey, Store, StoreError, TakenOver, UserId};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::message::TellNodes;
use crate::acks::Acks;
use departures::{Departed, Departures};
use wills::Claims;

/// How long it is waited for the server that had a session.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the sessions of a user who is not let in any more may take to end elsewhere: longer than the last work of one.
const OVER: Duration = Duration::from_secs(15);

/// How soon it is looked whether it has ended the session, which it is told to.
const SOON: Duration = Duration::from_millis(8);

/// How often it is looked whether all sessions of a user have ended.
const LOOK: Duration = Duration::from_millis(25);

/// The sessions of this server and the others.
pub(crate) struct SharedSessions {
    store: Store,
    departures: mpsc::Sender<Departed>,
    /// Until they are written.
    written: Mutex<Option<Departures>>,
    /// This server was cut off, and others may have taken sessions over.
    doubtful: Notify,
    claims: Claims,
    others: TellNodes,
    /// Others say that there are sessions to end.
    ordered: Notify,
}

impl SharedSessions {
    /// Those of a server whose database is `store`; `None` if that is a file, which is one server's.
    pub(crate) fn of(store: &Store, others: TellNodes) -> Option<Arc<Self>> {
        if store.is_exclusive() {
            return None;
        }
        let (departures, written) = Departures::new();
        Some(Arc::new(Self {
            store: store.clone(),
            departures,
            written: Mutex::new(Some(written)),
            doubtful: Notify::new(),
            claims: Claims::default(),
            others,
            ordered: Notify::new(),
        }))
    }

    /// This server was cut off: others may have taken over what it had.
    pub(crate) fn doubt(&self) {
        self.doubtful.notify_one();
    }

    /// This process has sessions to end: it looks for them now.
    pub(super) fn look_for_orders(&self, process: &str) {
        if process == self.store.process().as_str() {
            self.ordered.notify_one();
        }
    }

    /// Ends sessions as it is ordered, writes down which ones are not here any more, and looks now and then whether all that is
    /// written down is so; until stopped.
    pub(crate) async fn run(
        self: Arc<Self>,
        broker: Broker,
        acks: Arc<Acks>,
        stop: CancellationToken,
    ) {
        let Some(written) = self.written.lock().take() else {
            return;
        };
        let all = async {
            tokio::join!(
                orders::follow(&self.store, &broker, &acks, &self.ordered),
                written.write(&self.store),
                check::keep_checking(&self.store, &self.doubtful, &broker, &self.claims),
            )
        };
        stop.run_until_cancelled(all).await;
    }

    /// At most `limit` sessions of all servers, of `username` alone if given, behind the one with the id `after`.
    pub(crate) async fn list(
        &self,
        broker: &Broker,
        username: Option<&Username>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<LiveConnection>, StoreError> {
        listed::list(&self.store, broker, username, after, limit).await
    }

    /// Ends the session with this id, wherever it is. Returns what it was; `None` if there is none.
    pub(crate) async fn kick(
        &self,
        broker: &Broker,
        id: &str,
    ) -> Result<Option<LiveConnection>, StoreError> {
        listed::kick(&self.store, broker, id, &self.others).await
    }

    /// Makes the session of this user's client on another server leave out the notifications up to `up_to`: soon, or once it
    /// begins anew. Returns whether there is one.
    pub(crate) async fn skip(
        &self,
        user: &UserId,
        username: &Username,
        client_id: &Arc<str>,
        up_to: Seq,
    ) -> Result<bool, StoreError> {
        let key = SessionKey {
            user: user.clone(),
            client_id: client_id.clone(),
        };
        let is_elsewhere = self.store.is_session_elsewhere(&key).await?;
        if is_elsewhere {
            self.others.skipped(user, username, client_id, up_to);
        }
        Ok(is_elsewhere)
    }

    /// Waits until no other server has a session of the user with this name, who is not let in any more. `false`: it took too
    /// long.
    pub(crate) async fn are_over(&self, username: &Username) -> bool {
        timeout(OVER, async {
            // What cannot be read is as if one were left.
            while self.count_elsewhere(username).await.unwrap_or(1) > 0 {
                sleep(LOOK).await;
            }
        })
        .await
        .is_ok()
    }

    async fn count_elsewhere(&self, username: &Username) -> Result<u64, StoreError> {
        match self.store.user_by_name(username).await? {
            Some(user) => self.store.mqtt_sessions_elsewhere(&user.id).await,
            None => Ok(0),
        }
    }

    async fn take(self: Arc<Self>, arrival: Arrival) -> Result<Owned, NotOwned> {
        let take = rows::take_over(arrival);
        let key = take.session.key.clone();
        let taken = self.store.take_over_session(take).await;
        let taken = taken.map_err(|error| {
            tracing::warn!(%error, "a session could not be taken over");
            NotOwned::Unavailable
        })?;
        let ownership = match taken {
            TakenOver::Done(ownership) => ownership,
            TakenOver::TooMany => return Err(NotOwned::TooMany),
            TakenOver::CutOff => return Err(NotOwned::Unavailable),
        };
        self.others.session_ends(&ownership.tell);
        if ownership.is_awaited {
            let awaited = async {
                // Less and less often: very many may wait for a server that is gone.
                let mut pause = SOON;
                // What cannot be read is as if it had not ended.
                while self.store.is_session_awaited(&key).await.unwrap_or(true) {
                    sleep(pause).await;
                    pause *= 2;
                }
            };
            if timeout(PATIENCE, awaited).await.is_err() {
                tracing::info!("a session is begun before the server that had it has ended it");
            }
        }
        Ok(Owned {
            first_number: u64::try_from(ownership.first_number).unwrap_or(0),
            elsewhere: ownership.elsewhere,
        })
    }
}

/// What the broker asks.
pub(crate) struct Owners(pub(crate) Arc<SharedSessions>);

impl SessionOwners for Owners {
    fn take_over(&self, arrival: Arrival) -> BoxFuture<'static, Result<Owned, NotOwned>> {
        self.0.clone().take(arrival).boxed()
    }

    fn given_up(&self, session: OwnSession) {
        self.0.depart(Departed::GivenUp(rows::departure(&session)));
    }

    fn disconnected(&self, session: OwnSession) {
        let departure = rows::departure(&session);
        self.0.depart(Departed::Disconnected(departure));
    }

    fn will_waits(&self, session: OwnSession) {
        self.0
            .depart(Departed::WillWaits(rows::departure(&session)));
    }

    fn will_settled(&self, session: OwnSession) {
        let departure = rows::departure(&session);
        self.0.depart(Departed::WillSettled(departure));
    }

    fn claim_will(&self, session: OwnSession) -> BoxFuture<'static, bool> {
        let claim = self.0.claims.begin(rows::departure(&session));
        claim.made(self.0.store.clone()).boxed()
    }
}

impl SharedSessions {
    /// What there is no room for is found by the next check.
    fn depart(&self, departed: Departed) {
        if self.departures.try_send(departed).is_err() {
            tracing::debug!("that a session has ended could not be written down yet");
        }
    }
}
