//! Wills of this server that another one may have published, if it was cut off.

use std::{collections::HashSet, sync::Arc, time::Duration};

use herald_store::{Departure, SessionKey, Store};
use parking_lot::Mutex;
use tokio::time::sleep;

/// After an error of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// Which wills are to be claimed, as soon as that can be written.
#[derive(Clone, Default)]
pub(super) struct Claims(Arc<Mutex<HashSet<(SessionKey, i64)>>>);

/// One of them. Dropping it ends it.
pub(super) struct Claim {
    will: Departure,
    claims: Claims,
}

impl Claims {
    /// The will of a takeover is to be claimed.
    pub(super) fn begin(&self, will: Departure) -> Claim {
        self.0.lock().insert((will.key.clone(), will.number));
        Claim {
            will,
            claims: self.clone(),
        }
    }

    /// Whether this will is.
    pub(super) fn has(&self, will: &Departure) -> bool {
        let will = (will.key.clone(), will.number);
        self.0.lock().contains(&will)
    }
}

impl Claim {
    /// Resolves to whether the will is this server's to publish, once that is known.
    pub(super) async fn made(self, store: Store) -> bool {
        let Departure { key, number } = &self.will;
        loop {
            match store.claim_will(key, *number, None).await {
                Ok(claimed) => return claimed.is_some(),
                Err(error) => {
                    tracing::debug!(%error, "a will could not be claimed");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let will = (self.will.key.clone(), self.will.number);
        self.claims.0.lock().remove(&will);
    }
}
