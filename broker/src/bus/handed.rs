//! A message that was handed to the bus, for whoever answers for it.

use std::time::Duration;

use tokio::{sync::oneshot, time::timeout};

use super::{error::BusError, saver::Saving};

/// How long it may take until a crash of this server cannot lose the message any more.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is left to be waited for.
#[derive(Debug)]
pub(crate) struct Handed {
    saving: Option<Saving>,
    relayed: Option<oneshot::Receiver<()>>,
}

impl Handed {
    pub(super) fn new(saving: Option<Saving>, relayed: Option<oneshot::Receiver<()>>) -> Self {
        Self { saving, relayed }
    }

    /// Whether nothing is.
    pub(crate) fn is_done(&self) -> bool {
        self.saving.is_none() && self.relayed.is_none()
    }

    /// Resolves once what is retained is durable, and the other servers get the message whatever becomes of this one; fails if that
    /// takes too long.
    pub(crate) async fn done(self) -> Result<(), BusError> {
        if let Some(relayed) = self.relayed {
            match timeout(PATIENCE, relayed).await {
                Ok(Ok(())) => {}
                _ => return Err(BusError::Unavailable),
            }
        }
        match self.saving {
            Some(saving) => saving.done().await,
            None => Ok(()),
        }
    }
}
