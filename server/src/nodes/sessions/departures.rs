//! Sessions that are not here any more, or have no connection, written down in batches.

use std::time::Duration;

use herald_store::{Departure, Store};
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
            let (mut given_up, mut disconnected) = (vec![], vec![]);
            for departed in some.drain(..) {
                match departed {
                    Departed::GivenUp(session) => given_up.push(session),
                    Departed::Disconnected(session) => disconnected.push(session),
                }
            }
            while let Err(error) = write(store, &given_up, &disconnected).await {
                tracing::debug!(%error, "what has become of sessions could not be written down");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn write(
    store: &Store,
    given_up: &[Departure],
    disconnected: &[Departure],
) -> Result<(), herald_store::StoreError> {
    if !disconnected.is_empty() {
        store.disconnect_sessions(disconnected.to_vec()).await?;
    }
    if !given_up.is_empty() {
        store.give_up_sessions(given_up.to_vec()).await?;
    }
    Ok(())
}
