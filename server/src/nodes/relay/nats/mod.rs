//! Carries frames through a NATS server.
//!
//! Each server hears itself, too: what it sent is taken once it has come back, since NATS has then passed it to all others.

mod link;
mod outgoing;
mod parcel;
mod under_way;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::bail;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use bytes::Bytes;
use herald_broker::{Broker, Neighbours};
use herald_store::{Epoch, NodeChannel, Store};
use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::clock::now;
use crate::nodes::Standing;
use link::Link;
use outgoing::Outgoing;

/// How many messages wait to be read, and to be written by the client.
const MESSAGES: usize = 2048;
const COMMANDS: usize = 256;

/// How soon a connection that is silent is asked whether it is there, and how long it takes at most until it is tried to connect
/// again.
const PING: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_secs(1);

/// How often the epoch of the database is looked up.
const EPOCH: Duration = Duration::from_secs(1);

/// The way to the other servers through NATS.
pub(super) struct NatsRelay {
    hints: NodeChannel,
    outgoing: Arc<Outgoing>,
}

/// What comes from them through NATS.
pub(crate) struct NatsFrames {
    address: ServerAddr,
    options: ConnectOptions,
    store: Store,
    hints: NodeChannel,
    outgoing: Arc<Outgoing>,
}

impl NatsRelay {
    /// That of a server of `store`, whose `hints` know the other servers.
    pub(super) fn of(
        store: &Store,
        hints: &NodeChannel,
        address: ServerAddr,
        options: ConnectOptions,
    ) -> (Arc<Self>, NatsFrames) {
        let outgoing = Arc::<Outgoing>::default();
        let relay = Self {
            hints: hints.clone(),
            outgoing: outgoing.clone(),
        };
        let frames = NatsFrames {
            address,
            options,
            store: store.clone(),
            hints: hints.clone(),
            outgoing,
        };
        (Arc::new(relay), frames)
    }
}

impl Neighbours for NatsRelay {
    fn are_there(&self) -> bool {
        !self.hints.is_alone()
    }

    fn send(&self, frame: Bytes, taken: Option<oneshot::Sender<()>>) {
        match self.are_there() {
            true => self.outgoing.add(frame, taken),
            // There is nobody to lose it.
            false => drop(taken.map(|taken| taken.send(()))),
        }
    }

    fn now(&self) -> SystemTime {
        now()
    }
}

impl NatsFrames {
    /// Sends what waits, and hands what comes to `broker`, until dropped. A NATS server that is not there is waited for.
    pub(super) async fn run(self, broker: &Broker, standing: &Standing) -> anyhow::Result<()> {
        let trouble = Arc::new(Mutex::new(String::new()));
        let noted = trouble.clone();
        let note = move |event| {
            match &event {
                Event::ServerError(_) | Event::ClientError(_) => *noted.lock() = event.to_string(),
                _ => tracing::debug!(%event, "the NATS server of shared topics"),
            }
            async {}
        };
        let (host, port) = (self.address.host().to_owned(), self.address.port());
        let options = self
            .options
            .name("herald")
            .max_reconnects(None)
            .reconnect_delay_callback(|tries| match tries {
                0 | 1 => Duration::ZERO,
                _ => AGAIN,
            })
            .client_capacity(COMMANDS)
            .subscription_capacity(MESSAGES)
            .ping_interval(PING)
            .event_callback(note);
        let client = connect(self.address, options).await?;
        let link = Link::new(self.store.clone(), client.clone(), self.outgoing, trouble);
        let (mut epoch, mut number) = (self.store.epoch(), 0);
        loop {
            // Databases that share a NATS server do not hear each other, nor does a copy that has begun a new epoch.
            let subject = format!("herald.{epoch}.shared");
            tracing::info!(
                host,
                port,
                subject,
                "shared topics go to other servers through NATS"
            );
            let messages = client.subscribe(subject.clone()).await?;
            let others = self.hints.others();
            epoch = tokio::select! {
                new = another(&self.store, &epoch) => new,
                () = link.send(&subject, &mut number) => bail!("it sends no more"),
                () = link.receive(messages, others, broker, standing) => bail!("the client of NATS has ended"),
            };
            link.give_up_all();
        }
    }
}

/// Connects, at once or later. Of what is in the way at first it says all, which its client keeps to itself when it tries again.
async fn connect(address: ServerAddr, options: ConnectOptions) -> anyhow::Result<Client> {
    let first = options.clone().connect(address.clone());
    let error = match timeout(AGAIN, first).await {
        Ok(Ok(client)) => return Ok(client),
        Ok(Err(error)) => format!("{:#}", anyhow::Error::from(error)),
        Err(_) => "no answer".into(),
    };
    tracing::warn!(
        error,
        "no connection to the NATS server of shared topics (cluster.relay); it is tried again each second"
    );
    let options = options.retry_on_initial_connect();
    Ok(options.connect(address).await?)
}

/// Waits until the database has another epoch than this: one of the servers may begin it when it starts.
async fn another(store: &Store, epoch: &Epoch) -> Epoch {
    loop {
        sleep(EPOCH).await;
        if let Ok(progress) = store.inbox_progress().await
            && progress.epoch != *epoch
        {
            return progress.epoch;
        }
    }
}
