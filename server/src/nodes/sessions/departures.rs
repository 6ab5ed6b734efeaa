//! Sessions that are not here any more, or have no connection, written down in batches.

use std::time::Duration;

use herald_store::{Departure, Store, StoreError};
use tokio::{sync::mpsc, time::sleep};

/// How many wait to be written, at most.
const WAITING: usize = 16 * 1024;

/// How many are written at once, so that no other write waits long.
const AT_ONCE: usize = 256;

/// After an error of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// What has become of a session.
pub(super) enum Departed {
    /// It is not here any more.
    GivenUp(Departure),
    /// It has no connection.
    Disconnected(Departure),
    /// Its will waits for its delay.
    WillWaits(Departure),
    /// Its will is published, or is not to be.
    WillSettled(Departure),
}

/// What waits to be written.
pub(super) struct Departures(mpsc::Receiver<Departed>);

impl Departures {
    /// None, and what adds some.
    pub(super) fn new() -> (mpsc::Sender<Departed>, Self) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (sender, Self(receiver))
    }

    /// Writes what comes, as soon as it can be written.
    pub(super) async fn write(mut self, store: &Store) {
        let mut some = vec![];
        while self.0.recv_many(&mut some, AT_ONCE).await > 0 {
            let mut batch = Batch::default();
            for departed in some.drain(..) {
                match departed {
                    Departed::GivenUp(session) => batch.given_up.push(session),
                    Departed::Disconnected(session) => batch.disconnected.push(session),
                    Departed::WillWaits(session) => batch.wills_wait.push(session),
                    Departed::WillSettled(session) => batch.wills_settled.push(session),
                }
            }
            while let Err(error) = batch.write(store).await {
                tracing::debug!(%error, "what has become of sessions could not be written down");
                sleep(PAUSE).await;
            }
        }
    }
}

/// What is written at once.
#[derive(Default)]
struct Batch {
    given_up: Vec<Departure>,
    disconnected: Vec<Departure>,
    wills_wait: Vec<Departure>,
    wills_settled: Vec<Departure>,
}

impl Batch {
    async fn write(&self, store: &Store) -> Result<(), StoreError> {
        if !self.disconnected.is_empty() {
            store.disconnect_sessions(self.disconnected.clone()).await?;
        }
        if !self.given_up.is_empty() {
            store.give_up_sessions(self.given_up.clone()).await?;
        }
        if !self.wills_wait.is_empty() {
            store.wills_wait(self.wills_wait.clone()).await?;
        }
        if !self.wills_settled.is_empty() {
            store.settle_wills(self.wills_settled.clone()).await?;
        }
        Ok(())
    }
}
