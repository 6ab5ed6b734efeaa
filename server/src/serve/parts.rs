//! The parts of a server, each made from the configuration and joined to those it needs.

use std::{future::pending, net::SocketAddr, num::NonZeroU32, sync::Arc, time::Duration};

use anyhow::Context as _;
use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::Policy;
use herald_api::{ApiOptions, AwaitRights, ForgetUser, InForce, MqttStream, Throughput};
use herald_broker::{Broker, Neighbours, Origin, Transport};
use herald_store::{Job, Store, Timestamp};
use herald_worker::{Echo, Event, Failure, Processor, Retries, Webhook, Worker, WorkerOptions};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    accept::HANDSHAKE,
    config::{self, Config, Registration, TlsMode},
    host::{self, Host},
    live_connections::Live,
    nodes::{Owners, RightsEverywhere, SharedSessions, Standing, TellNodes},
    progress::Progress,
};

pub(super) async fn start_broker(
    config: &Config,
    policy: Policy,
    host: Host,
    standing: &Arc<Standing>,
    sessions: Option<&Arc<SharedSessions>>,
    neighbours: Option<Arc<dyn Neighbours>>,
) -> anyhow::Result<Broker> {
    let (limits, host) = (config.limits.broker(&config.mqtt), Arc::new(host));
    let owners = sessions.map(|sessions| Arc::new(Owners(sessions.clone())) as Arc<_>);
    let broker =
        Broker::start_among(limits, policy, host, standing.clone(), owners, neighbours).await;
    broker.context("the broker did not start")
}

pub(super) fn start_worker(
    config: &Config,
    store: &Store,
    broker: &Broker,
    throughput: &Arc<Throughput>,
    standing: &Arc<Standing>,
    nodes: TellNodes,
    draining: &CancellationToken,
) -> anyhow::Result<Worker> {
    let processor: Arc<dyn Processor> = match config.worker.processor {
        config::Processor::Echo => Arc::new(Echo),
        config::Processor::Webhook => Arc::new(Webhook::new(config.webhook.options()?)?),
    };
    let processor = Arc::new(WhileStanding {
        processor,
        standing: standing.clone(),
        draining: draining.clone(),
    });
    let options = WorkerOptions {
        concurrency: config.worker.concurrency,
        lease: config.worker.lease(),
        time_limit: Duration::from_millis(config.worker.timeout_ms),
        retries: Retries {
            max_attempts: config.worker.max_attempts,
            backoff: Duration::from_millis(config.worker.backoff_ms),
        },
        grace: Duration::from_millis(config.worker.stop_ms),
    };
    let (broker, throughput) = (broker.clone(), throughput.clone());
    let progress = Progress(broker.clone());
    let on_event = move |event: Event<'_>| match event {
        Event::Begun(job) => progress.begun(job),
        Event::Again { job, run_at } => progress.again(job, run_at),
        Event::Finished(finished) => {
            throughput.ended(finished.due, finished.ended_at);
            let notification = host::notification(&finished.notification);
            let (user, username) = (&finished.user_id, &finished.username);
            broker.notify(user.as_str(), username, &notification);
            nodes.finished(user, username, finished.notification.seq);
        }
        Event::Unclear(username) => {
            broker.nudge(username);
            nodes.unclear(username);
        }
    };
    Ok(Worker::new(
        store.clone(),
        processor,
        options,
        Arc::new(on_event),
    ))
}

/// Claims nothing while the server does not stand, nor once it is taken out. What is under way goes on: whether it may end is for
/// its lease to say.
struct WhileStanding {
    processor: Arc<dyn Processor>,
    standing: Arc<Standing>,
    draining: CancellationToken,
}

impl Processor for WhileStanding {
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, Failure>> {
        self.processor.process(job)
    }

    fn ready(&self) -> BoxFuture<'_, NonZeroU32> {
        async {
            let most = self.processor.ready().await;
            self.standing.stood_up().await;
            if self.draining.is_cancelled() {
                return pending().await;
            }
            most
        }
        .boxed()
    }

    fn is_ready(&self) -> bool {
        self.standing.stands() && !self.draining.is_cancelled() && self.processor.is_ready()
    }
}

/// Waits for changes of rights.
pub(super) fn await_rights(everywhere: &Arc<RightsEverywhere>) -> AwaitRights {
    let everywhere = everywhere.clone();
    Arc::new(move || {
        let everywhere = everywhere.clone();
        async move { everywhere.reached_logged().await }.boxed()
    })
}

/// Lets go of a user whose account was closed: of what the brokers hold, once every server has learnt of all that has ended, and
/// no other one has a session of the user.
pub(super) fn forget_user(
    store: &Store,
    everywhere: &Arc<RightsEverywhere>,
    broker: &Broker,
    sessions: Option<&Arc<SharedSessions>>,
) -> ForgetUser {
    let (everywhere, broker, sessions) = (everywhere.clone(), broker.clone(), sessions.cloned());
    let store = store.clone();
    Arc::new(move |username| {
        let (everywhere, broker) = (everywhere.clone(), broker.clone());
        let (store, sessions) = (store.clone(), sessions.clone());
        async move {
            let mut in_force = reached(&everywhere).await?;
            if let Some(sessions) = sessions
                && !sessions.are_over(&username).await
            {
                return Err("another server has not ended all sessions of the user".to_owned());
            }
            if store.is_exclusive() {
                let forgotten = broker.forget_user(&username).await;
                forgotten.map_err(|error| error.to_string())?;
                return Ok(in_force);
            }
            // What one server has yet to forget another one may just read: then it knows nothing of it after the second time.
            for _ in 0..2 {
                let told = store.have_forgotten(&username, Timestamp::now()).await;
                told.map_err(|error| error.to_string())?;
                if reached(&everywhere).await? == InForce::GivenUp {
                    in_force = InForce::GivenUp;
                }
            }
            Ok(in_force)
        }
        .boxed()
    })
}

/// Waits until what was written is in force on every server; an error says that it is not.
async fn reached(everywhere: &RightsEverywhere) -> Result<InForce, String> {
    match everywhere.reached_logged().await {
        InForce::Unknown => Err("not every server has learnt of it yet".to_owned()),
        in_force => Ok(in_force),
    }
}

pub(super) fn api_options(
    config: &Config,
    broker: &Broker,
    standing: &Arc<Standing>,
    sessions: Option<&Arc<SharedSessions>>,
    draining: &CancellationToken,
) -> ApiOptions {
    let (serving, asked, standing) = (broker.clone(), broker.clone(), standing.clone());
    let mqtt = move |stream: Box<dyn MqttStream>, peer: SocketAddr| {
        let deadline = Instant::now() + HANDSHAKE;
        let transport = Transport::WebSocket;
        let origin = Origin { peer, transport };
        serving.serve(stream, origin, deadline).boxed()
    };
    let draining = draining.clone();
    let ready = move || {
        let ready = match (standing.stands(), asked.is_ready()) {
            (false, _) => Err("This server is cut off from the database, and serves nobody."),
            (true, false) => Err("The broker does not answer."),
            (true, true) if draining.is_cancelled() => {
                Err("This server is draining: others take its clients.")
            }
            (true, true) => Ok(()),
        };
        async move { ready }.boxed()
    };
    ApiOptions {
        allowed_origins: config.http.allowed_origins.clone(),
        requests_per_minute: config.limits.requests_per_minute,
        requests_per_minute_per_address: config.limits.requests_per_minute_per_address,
        limits: config.limits.api(),
        tls: config.tls.mode != TlsMode::Off,
        registration: config.auth.registration == Registration::Open,
        connections: Arc::new(Live {
            broker: broker.clone(),
            shared: sessions.cloned(),
        }),
        progress: Arc::new(Progress(broker.clone())),
        ..ApiOptions::new(Arc::new(mqtt), Arc::new(ready))
    }
}
