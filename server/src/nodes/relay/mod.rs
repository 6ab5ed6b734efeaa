//! Carries what is published to shared topics between the servers, through their database or through NATS.

mod clock;
mod database;
mod nats;
mod pieces;

use std::sync::Arc;

use async_nats::{ConnectOptions, ServerAddr};
use herald_broker::{Broker, Neighbours};
use herald_store::{NodeChannel, Store};
use tokio_util::sync::CancellationToken;

use super::Standing;
use database::{DatabaseFrames, DatabaseRelay};
use nats::{NatsFrames, NatsRelay};

/// What comes from the other servers.
pub(crate) enum FromOthers {
    Database(DatabaseFrames),
    Nats(Box<NatsFrames>),
}

/// The way to the other servers of `store`, which `hints` knows, and what comes from them: through the NATS server, if there is one.
/// `None` if the database is a file, which is one server's.
pub(crate) fn relay(
    store: &Store,
    nats: Option<(ServerAddr, ConnectOptions)>,
    hints: &NodeChannel,
) -> Option<(Arc<dyn Neighbours>, FromOthers)> {
    let Some((address, options)) = nats else {
        let (relay, frames) = DatabaseRelay::of(store)?;
        return Some((relay, FromOthers::Database(frames)));
    };
    let (relay, frames) = NatsRelay::of(store, hints, address, options);
    Some((relay, FromOthers::Nats(Box::new(frames))))
}

impl FromOthers {
    /// The channel of its own that has to know which servers there are.
    pub(crate) fn channel(&self) -> Option<NodeChannel> {
        match self {
            Self::Database(frames) => Some(frames.channel.clone()),
            Self::Nats(_) => None,
        }
    }

    /// Sends what waits, and hands what comes to `broker`, until stopped.
    pub(crate) async fn run(
        self,
        broker: Broker,
        standing: Arc<Standing>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        match self {
            Self::Database(frames) => frames.run(&broker, &standing, stop).await,
            Self::Nats(frames) => {
                let run = frames.run(&broker, &standing);
                stop.run_until_cancelled(run).await.transpose()?;
            }
        }
        Ok(())
    }
}
