//! Everything together, from start to stop.

mod drain;
mod node;
mod parts;
mod prepare;
mod sockets;

use std::{io::Write as _, sync::Arc, time::Duration};

use anyhow::{anyhow, bail};
use herald_api::{ApiOptions, Audit, Sends, Throughput};
use herald_broker::Broker;
use herald_store::{NodeChannel, Purpose, Store, StoreOptions};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    acks::Acks,
    banner::banner,
    config::{Config, DatabaseLocation},
    connections::Connections,
    data_dir,
    host::Host,
    http,
    inbox_mark::InboxMark,
    nodes::{
        self, OwnNode, RetainedFollower, RightsEverywhere, SharedSessions, Standing, TellNodes,
    },
    open_files, retention,
    rights_watch::{Enforcer, RightsWatch},
    run_file::RunFile,
    signals::Signals,
    tasks::{Stage, Tasks},
    tls,
};

use drain::Drain;
use node::FromOtherNodes;
use parts::{api_options, await_rights, forget_user, start_broker, start_worker};
use prepare::{Prepared, prepare};

/// How long connections may take to end, once all that they wait for has: requests over HTTP have a little less.
const GRACE: Duration = Duration::from_secs(6);

/// Runs the server until `signals` stop it.
pub(crate) async fn serve(mut config: Config, mut signals: Signals) -> anyhow::Result<()> {
    config.limits.connections = open_files::raise_limit(config.limits.connections);
    data_dir::create(&config.data_dir)?;
    let _lock = data_dir::lock(&config.data_dir)?;
    RunFile::forget(&config.data_dir);
    let tls = tls::server_config(&config)?;
    let database = config.database_location()?;
    let _database_lock = match &database {
        DatabaseLocation::File(file) => Some(data_dir::lock_database(file)?),
        DatabaseLocation::Server(_) => None,
    };
    let opening = Store::open(StoreOptions {
        waiting_messages: config.limits.waiting_messages,
        notification_bytes: config.limits.largest_notification(),
        stored_bytes: config.limits.stored_bytes,
        ..database.options()
    });
    let Some(store) = unless_stopped(&mut signals, opening).await else {
        return Ok(());
    };
    let store = store?;
    let served = match unless_stopped(&mut signals, prepare(&config, &store)).await {
        Some(Ok(prepared)) => serve_from(&config, tls, &store, prepared, signals).await,
        Some(Err(e)) => Err(e),
        None => Ok(()),
    };
    store.close().await;
    served
}

/// What `starting` comes to; `None` if the server is stopped before; what was not done is taken up at the next start.
async fn unless_stopped<T>(signals: &mut Signals, starting: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        started = starting => Some(started),
        signal = signals.next() => {
            tracing::info!(signal, "stopping before all has started");
            None
        }
    }
}

async fn serve_from(
    config: &Config,
    tls: Option<rustls::ServerConfig>,
    store: &Store,
    prepared: Prepared,
    signals: Signals,
) -> anyhow::Result<()> {
    let Prepared {
        inbox_mark,
        accounts,
        default_password,
        mut sockets,
        policy,
        rights,
        node,
        retained,
    } = prepared;
    let standing = node
        .as_ref()
        .map_or_else(|| Arc::new(Standing::alone()), OwnNode::standing);
    let addresses = sockets.addresses()?;
    let mut tasks = Tasks::new();
    let (accepting, changes) = (TaskTracker::new(), TaskTracker::new());
    let acks = Arc::new(Acks::default());
    let sends = Arc::new(Sends::new(store.clone(), config.limits.sends()));
    let audit = Arc::<Audit>::default();
    let (channel, frames) = NodeChannel::of(store, Purpose::Hints).unzip();
    let others = TellNodes(channel.clone());
    let host = Host {
        accounts: accounts.clone(),
        store: store.clone(),
        acks: acks.clone(),
        sends: sends.clone(),
        audit: audit.clone(),
        nodes: others.clone(),
    };
    let sessions = SharedSessions::of(store, others.clone());
    let (relay, from_others) = match &channel {
        Some(channel) => nodes::relay(store, config.cluster.relay()?, channel).unzip(),
        None => (None, None),
    };
    let broker = start_broker(config, policy, host, &standing, sessions.as_ref(), relay).await?;
    let throughput = Arc::<Throughput>::default();
    let follower = node
        .is_some()
        .then(|| RetainedFollower::new(store.clone(), broker.clone(), retained));
    let drain = Drain {
        store: store.clone(),
        broker: broker.clone(),
        draining: CancellationToken::new(),
        time: config.cluster.drain(),
    };
    let worker = start_worker(
        config,
        store,
        &broker,
        &throughput,
        &standing,
        others.clone(),
        &drain.draining,
    )?;
    let limits = &config.limits;
    let connections = Connections::new(limits.connections, limits.connections_per_address);
    let connections = Arc::new(connections);
    let stop = tasks.stop_of(Stage::Work);
    sockets.listen_mqtt(tls.as_ref(), &connections, &broker, &accepting, &mut tasks);
    let http = sockets.http(tls, &connections, &stop, &accepting);
    let everywhere = Arc::new(RightsEverywhere::of_server(
        store,
        rights.in_force(),
        rights.look(),
        others,
    ));
    let api = herald_api::routes(
        store.clone(),
        accounts,
        sends,
        ApiOptions {
            throughput,
            audit: audit.clone(),
            await_rights: await_rights(&everywhere),
            forget_user: forget_user(store, &everywhere, &broker, sessions.as_ref()),
            background: changes.clone(),
            ..api_options(
                config,
                &broker,
                &standing,
                sessions.as_ref(),
                &drain.draining,
            )
        },
    );

    let retention = config.retention.clone();
    tasks.spawn(Stage::Work, "worker", |stop| worker.run(stop));
    tasks.spawn(Stage::Work, "pruner", |stop| {
        retention::run(store.clone(), retention, stop)
    });
    let enforcer = Enforcer {
        broker: broker.clone(),
        standing: standing.clone(),
        retained: follower.as_ref().map(RetainedFollower::followed),
    };
    let look_for_rights = rights.look();
    spawn_broker(&mut tasks, enforcer, rights, standing);
    if let Some(node) = node
        && let Some(hints) = channel.zip(frames)
        && let Some(shared) = from_others
        && let Some(retained) = follower
    {
        let from_others = FromOtherNodes {
            hints,
            look_for_rights,
            shared,
            retained,
        };
        node::spawn(
            &mut tasks,
            store,
            &broker,
            node,
            sessions.clone(),
            from_others,
        );
    }
    if let Some(sessions) = sessions {
        let (broker, acks) = (broker.clone(), acks.clone());
        tasks.spawn(Stage::Connections, "sessions of several servers", |stop| {
            sessions.run(broker, acks, stop)
        });
    }
    // It ends when nothing is accepted any more.
    let rate = limits.answer_bytes_per_s;
    tasks.spawn(Stage::Connections, "HTTP server", |_| {
        http::serve(http, api, rate)
    });
    tasks.wait_for(Stage::Connections, "connections", accepting, GRACE);
    tasks.wait_for(Stage::Connections, "changes", changes, GRACE);
    spawn_writers(&mut tasks, store, acks, audit, inbox_mark);

    let run_file = RunFile::write(&config.data_dir, addresses)?;
    // Nobody may be reading.
    let _ = writeln!(
        std::io::stdout(),
        "{}",
        banner(config, &addresses, default_password)
    );
    let ended = run(tasks, signals, &drain).await?;
    run_file.remove();
    log_counters(&broker, &connections);
    ended
}

fn spawn_broker(
    tasks: &mut Tasks,
    enforcer: Enforcer,
    rights: RightsWatch,
    standing: Arc<Standing>,
) {
    let (serving, enforcing) = (enforcer.broker.clone(), enforcer.broker.clone());
    tasks.spawn(Stage::Sessions, "broker", async move |stop| {
        let crashed = stop.run_until_cancelled(serving.crashed()).await;
        serving.stop().await;
        crashed.map_or(Ok(()), |()| Err(anyhow!("the broker crashed")))
    });
    tasks.spawn(
        Stage::Connections,
        "follower of rights",
        async move |stop| {
            let followed = rights.run(enforcer, standing, stop).await;
            if followed.is_err() {
                // Nobody is to keep a right that was taken away.
                enforcing.stop().await;
            }
            followed
        },
    );
}

fn spawn_writers(
    tasks: &mut Tasks,
    store: &Store,
    acks: Arc<Acks>,
    audit: Arc<Audit>,
    inbox_mark: InboxMark,
) {
    tasks.spawn(Stage::Writers, "writer of acknowledgements", |stop| {
        acks.run(store.clone(), stop)
    });
    let audited = store.clone();
    tasks.spawn(Stage::Writers, "writer of the audit", async move |stop| {
        audit.run(audited, stop.cancelled()).await;
    });
    tasks.spawn(Stage::Writers, "writer of the inbox mark", |stop| {
        inbox_mark.run(store.clone(), stop)
    });
}

/// Runs `tasks` until a signal comes or one of them ends by itself, which is the inner error, and ends them. On SIGTERM clients
/// are sent to other servers before, unless another signal comes.
///
/// # Errors
///
/// Another signal came before all had ended.
async fn run(
    mut tasks: Tasks,
    mut signals: Signals,
    drain: &Drain,
) -> anyhow::Result<anyhow::Result<()>> {
    let mut ended = tokio::select! {
        signal = signals.next() => Ok(signal),
        error = tasks.first_to_end() => Err(error),
    };
    if let Ok("SIGTERM") = ended {
        ended = tokio::select! {
            () = drain.run() => Ok("SIGTERM"),
            signal = signals.next() => Ok(signal),
            error = tasks.first_to_end() => Err(error),
        };
    }
    if let Ok(signal) = &ended {
        tracing::info!(signal, "stopping");
    }
    tokio::select! {
        () = tasks.stop() => Ok(ended.map(|_| ())),
        _ = signals.next() => bail!("told to stop again: ended at once; what is unfinished is taken up at the next start"),
    }
}

/// What was done and dropped since start.
fn log_counters(broker: &Broker, connections: &Connections) {
    let m = broker.metrics();
    tracing::info!(
        connections_refused = connections.refused(),
        connects = m.connects.get(),
        connects_refused = m.connects_refused.get(),
        subscribes_denied = m.subscribes_denied.get(),
        publishes_denied = m.publishes_denied.get(),
        notifications_sent = m.notifications_sent.get(),
        publishes_received = m.publishes_received.get(),
        publishes_sent = m.publishes_sent.get(),
        shared_dropped = m.shared_dropped.get(),
        router_restarts = m.router_restarts.get(),
        "stopped"
    );
}
