//! Everything together, from start to stop.

use std::{io::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use futures_util::FutureExt as _;
use herald_acl::Policy;
use herald_api::{Accounts, ApiOptions, Audit, ForgetUser, MqttStream, Sends, Throughput};
use herald_broker::{Broker, Origin, Transport};
use herald_store::{Store, StoreOptions, Timestamp};
use herald_worker::{Echo, Event, Retries, Webhook, Worker, WorkerOptions};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accept::{Accept, HANDSHAKE},
    acks::Acks,
    banner::banner,
    config::{Config, Processor, Registration},
    connections::Connections,
    data_dir, host,
    host::Host,
    http,
    inbox_mark::InboxMark,
    live::Live,
    open_files,
    progress::Progress,
    retention,
    rights::Rights,
    run_file::{Addresses, RunFile},
    signals::Signals,
    tls,
};

/// How long connections may take to end, once all that they wait for has: requests over HTTP have a little less.
const GRACE: Duration = Duration::from_secs(6);

/// How long it may take until a change of rights is in force.
const RIGHTS: Duration = Duration::from_secs(10);

/// Clients join packets into WebSocket messages, which are then larger than any packet.
const WEBSOCKET_MESSAGE: usize = 1024 * 1024;

/// The sockets, bound before anything else is promised.
struct Sockets {
    http: TcpListener,
    mqtt_tls: Option<TcpListener>,
    mqtt_tcp: Option<TcpListener>,
}

/// Runs the server until it is told to stop by `signals`.
pub(crate) async fn serve(mut config: Config, mut signals: Signals) -> anyhow::Result<()> {
    config.limits.connections = open_files::raise_limit(config.limits.connections);
    data_dir::create(&config.data_dir)?;
    let _lock = data_dir::lock(&config.data_dir)?;
    RunFile::forget(&config.data_dir);
    let tls = tls::server_config(&config)?;
    let database = config.database_file()?;
    let _database_lock = data_dir::lock_database(&database)?;
    let opening = Store::open(StoreOptions {
        waiting_messages: config.limits.waiting_messages,
        ..StoreOptions::sqlite(&database)
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

/// What `starting` comes to; `None` if the server is told to stop before. Whatever it was about is taken up at the next start.
async fn unless_stopped<T>(signals: &mut Signals, starting: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        started = starting => Some(started),
        signal = signals.next() => {
            tracing::info!(signal, "stopping before all has started");
            None
        }
    }
}

/// What there has to be before anything is served.
struct Prepared {
    inbox_mark: InboxMark,
    accounts: Arc<Accounts>,
    default_password: bool,
    sockets: Sockets,
    policy: Policy,
    rights: Rights,
}

/// Puts what is in `store` right for a new run, and takes the sockets.
async fn prepare(config: &Config, store: &Store) -> anyhow::Result<Prepared> {
    let inbox_mark = InboxMark::settle(&config.data_dir, store).await?;
    let accounts = Arc::new(Accounts::new(store.clone()));
    if accounts.seed().await? {
        tracing::info!("created the administrator admin");
    }
    let default_password = accounts.default_password_stands().await?;
    if default_password && let Some(beyond) = config.beyond_loopback() {
        bail!(
            "will not listen on {beyond} while the administrator's password is 'admin'; \
             run: herald admin reset-password admin"
        );
    }
    if default_password {
        tracing::warn!(
            "the administrator's password is 'admin', which everyone knows; \
             run: herald admin reset-password admin"
        );
    }
    let released = store.release_all().await?;
    if released > 0 {
        tracing::info!(
            messages = released,
            "messages that were being processed will be processed again"
        );
    }
    if let Some(set_back) = store.follow_clock_back(Timestamp::now()).await? {
        tracing::warn!(
            seconds = set_back.by.as_secs(),
            rows = set_back.moved,
            "the system's clock was set back; what waits was moved back by as much"
        );
    }
    let sockets = bind(config).await?;
    let (policy, rights) = Rights::load(store).await?;
    Ok(Prepared {
        inbox_mark,
        accounts,
        default_password,
        sockets,
        policy,
        rights,
    })
}

async fn serve_from(
    config: &Config,
    tls: Option<rustls::ServerConfig>,
    store: &Store,
    prepared: Prepared,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let Prepared {
        inbox_mark,
        accounts,
        default_password,
        mut sockets,
        policy,
        rights,
    } = prepared;
    let addresses = sockets.addresses()?;
    let stop = CancellationToken::new();
    let acks = Arc::new(Acks::default());
    let sends = Arc::new(Sends::new(store.clone(), config.send_limits()));
    let audit = Arc::<Audit>::default();
    let host = Host {
        accounts: accounts.clone(),
        store: store.clone(),
        acks: acks.clone(),
        sends: sends.clone(),
        audit: audit.clone(),
    };
    let broker = start_broker(config, policy, host).await?;
    let throughput = Arc::<Throughput>::default();
    let worker = start_worker(config, store, &broker, &throughput)?;
    let accepting = TaskTracker::new();
    let limits = &config.limits;
    let connections = Connections::new(limits.connections, limits.connections_per_address);
    let connections = Arc::new(connections);
    sockets.listen_mqtt(tls.as_ref(), &connections, &broker, &stop, &accepting);
    let http = sockets.http(tls, &connections, &stop, &accepting);
    let api = herald_api::routes(
        store.clone(),
        accounts,
        sends,
        ApiOptions {
            throughput,
            audit: audit.clone(),
            forget_user: forget_user(store, &broker, rights.in_force()),
            ..api_options(config, &broker)
        },
    );

    let end_acks = CancellationToken::new();
    let mut acking = tokio::spawn(acks.run(store.clone(), end_acks.clone()));
    let end_audit = CancellationToken::new();
    let auditing = (store.clone(), end_audit.clone().cancelled_owned());
    let mut auditing = tokio::spawn(async move { audit.run(auditing.0, auditing.1).await });
    let end_marking = CancellationToken::new();
    let mut marking = tokio::spawn(inbox_mark.run(store.clone(), end_marking.clone()));
    let retaining = retention::run(store.clone(), config.retention.clone(), stop.clone());
    let mut retaining = tokio::spawn(retaining);
    let mut working = tokio::spawn(worker.run(stop.clone()));
    let mut serving = tokio::spawn(http::serve(http, api, config.limits.answer_bytes_per_s));
    // Until the last session has ended.
    let end_rights = CancellationToken::new();
    let mut following = tokio::spawn(rights.run(broker.clone(), end_rights.clone()));

    let run_file = RunFile::write(&config.data_dir, addresses)?;
    // Nobody may be reading.
    let _ = writeln!(
        std::io::stdout(),
        "{}",
        banner(config, &addresses, default_password)
    );
    let ended = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, "stopping");
            Ok(())
        }
        _ = &mut working => Err(anyhow::anyhow!("the worker ended by itself")),
        _ = &mut serving => Err(anyhow::anyhow!("the HTTP server ended by itself")),
        _ = &mut retaining => Err(anyhow::anyhow!("the pruner ended by itself")),
        _ = &mut marking => Err(anyhow::anyhow!("the writer of the inbox mark ended by itself")),
        _ = &mut auditing => Err(anyhow::anyhow!("the writer of the audit ended by itself")),
        _ = &mut acking => Err(anyhow::anyhow!("the writer of acknowledgements ended by itself")),
        lost = &mut following => {
            // Nobody is to keep a right that was taken away.
            broker.stop().await;
            Err(match lost {
                Ok(Err(lost)) => lost.into(),
                _ => anyhow::anyhow!("the follower of rights ended by itself"),
            })
        }
    };

    // What is claimed is finished and its owner told; then clients are told; then the last acknowledgements are written.
    let ending = async {
        stop.cancel();
        accepting.close();
        joined("worker", working).await;
        end_marking.cancel();
        joined("writer of the inbox mark", marking).await;
        joined("pruner", retaining).await;
        broker.stop().await;
        end_rights.cancel();
        joined("follower of rights", following).await;
        joined("HTTP server", serving).await;
        if timeout(GRACE, accepting.wait()).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        end_acks.cancel();
        joined("writer of acknowledgements", acking).await;
        end_audit.cancel();
        joined("writer of the audit", auditing).await;
    };
    tokio::select! {
        () = ending => run_file.remove(),
        _ = signals.next() => bail!("told to stop again: ended at once; what is unfinished is taken up at the next start"),
    }
    log_counters(&broker, &connections);
    ended
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

/// Waits for a task that has not been waited for to its end.
async fn joined<T>(what: &str, task: JoinHandle<T>) {
    if !task.is_finished()
        && let Err(e) = task.await
    {
        tracing::error!(error = %e, "the {what} crashed");
    }
}

async fn start_broker(config: &Config, policy: Policy, host: Host) -> anyhow::Result<Broker> {
    let host = Arc::new(host);
    let broker = Broker::start(
        config.broker_limits(),
        policy,
        host.clone(),
        host.clone(),
        host.clone(),
        host.clone(),
        host,
    )
    .await;
    broker.context("the broker did not start")
}

fn start_worker(
    config: &Config,
    store: &Store,
    broker: &Broker,
    throughput: &Arc<Throughput>,
) -> anyhow::Result<Worker> {
    let processor: Arc<dyn herald_worker::Processor> = match config.worker.processor {
        Processor::Echo => Arc::new(Echo),
        Processor::Webhook => Arc::new(Webhook::new(config.webhook.options()?)?),
    };
    let options = WorkerOptions {
        concurrency: config.worker.concurrency,
        lease: config.lease(),
        time_limit: Duration::from_millis(config.worker.timeout_ms),
        retries: Retries {
            max_attempts: config.worker.max_attempts,
            backoff: Duration::from_millis(config.worker.backoff_ms),
        },
        grace: Duration::from_millis(config.worker.stop_ms),
    };
    let (broker, throughput) = (broker.clone(), throughput.clone());
    let progress = Progress(broker.clone());
    let tell = move |event: Event<'_>| match event {
        Event::Begun(job) => progress.begun(job),
        Event::Again { job, run_at } => progress.again(job, run_at),
        Event::Finished(finished) => {
            throughput.ended(finished.due, finished.ended_at);
            let notification = host::notification(&finished.notification);
            broker.notify(finished.user_id.as_str(), &finished.username, &notification);
        }
        Event::Unclear(username) => broker.nudge(username),
    };
    Ok(Worker::new(
        store.clone(),
        processor,
        options,
        Arc::new(tell),
    ))
}

/// Lets go of a user whose account was closed: of what the broker holds, once it has learnt of all that has ended.
fn forget_user(store: &Store, broker: &Broker, in_force: watch::Receiver<i64>) -> ForgetUser {
    let (store, broker) = (store.clone(), broker.clone());
    Arc::new(move |username| {
        let (store, broker, mut in_force) = (store.clone(), broker.clone(), in_force.clone());
        async move {
            let closed = store.last_rights_change().await;
            let closed = closed.map_err(|error| error.to_string())?;
            let learnt = async { in_force.wait_for(|last| *last >= closed).await.is_ok() };
            if timeout(RIGHTS, learnt).await != Ok(true) {
                return Err("the broker has not learnt of it yet".to_owned());
            }
            let forgotten = broker.forget_user(&username).await;
            forgotten.map_err(|error| error.to_string())
        }
        .boxed()
    })
}

fn api_options(config: &Config, broker: &Broker) -> ApiOptions {
    let (serving, asked) = (broker.clone(), broker.clone());
    let mqtt = move |stream: Box<dyn MqttStream>, peer: SocketAddr| {
        let deadline = Instant::now() + HANDSHAKE;
        let transport = Transport::WebSocket;
        let origin = Origin { peer, transport };
        serving.serve(stream, origin, deadline).boxed()
    };
    let ready = move || {
        let ready = asked.is_ready();
        async move { ready }.boxed()
    };
    ApiOptions {
        packet_bytes: (config.limits.packet_bytes as usize).max(WEBSOCKET_MESSAGE),
        allowed_origins: config.http.allowed_origins.clone(),
        requests_per_minute: config.limits.requests_per_minute,
        requests_per_minute_per_address: config.limits.requests_per_minute_per_address,
        limits: config.api_limits(),
        tls: config.tls.mode != crate::config::TlsMode::Off,
        registration: config.auth.registration == Registration::Open,
        connections: Arc::new(Live(broker.clone())),
        progress: Arc::new(Progress(broker.clone())),
        ..ApiOptions::new(Arc::new(mqtt), Arc::new(ready))
    }
}

async fn bind(config: &Config) -> anyhow::Result<Sockets> {
    let optional = async |key, address| match address {
        Some(address) => listen(key, address).await.map(Some),
        None => Ok(None),
    };
    Ok(Sockets {
        http: listen("http.listen", config.http.listen).await?,
        mqtt_tls: optional("mqtt.listen_tls", config.listen_tls()).await?,
        mqtt_tcp: optional("mqtt.listen_tcp", config.mqtt.listen_tcp).await?,
    })
}

async fn listen(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; is it taken? choose another with {key}")
    })
}

impl Sockets {
    /// The real addresses.
    fn addresses(&self) -> anyhow::Result<Addresses> {
        let of = |listener: &Option<TcpListener>| {
            listener.as_ref().map(TcpListener::local_addr).transpose()
        };
        Ok(Addresses {
            http: self.http.local_addr()?,
            mqtt_tls: of(&self.mqtt_tls)?,
            mqtt_tcp: of(&self.mqtt_tcp)?,
            metrics: None,
        })
    }

    /// Serves MQTT on the sockets that are for it.
    fn listen_mqtt(
        &mut self,
        tls: Option<&rustls::ServerConfig>,
        connections: &Arc<Connections>,
        broker: &Broker,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) {
        let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::new(tls.clone())));
        for (listener, tls, transport) in [
            (self.mqtt_tls.take(), acceptor, Transport::Tls),
            (self.mqtt_tcp.take(), None, Transport::Tcp),
        ] {
            let Some(listener) = listener else { continue };
            let accept = Accept {
                listener,
                tls,
                connections: connections.clone(),
                stop: stop.clone(),
                tasks: tasks.clone(),
            };
            let broker = broker.clone();
            tasks.spawn(accept.run(move |connection, peer, deadline| {
                let (origin, sign_in) = (Origin { peer, transport }, connection.sign_in());
                let mut session = Box::pin(broker.serve(connection, origin, deadline));
                async move {
                    // What lasts longer has signed in.
                    if timeout_at(deadline, session.as_mut()).await.is_err() {
                        sign_in.done();
                        session.await;
                    }
                }
            }));
        }
    }

    /// What HTTP accepts.
    fn http(
        self,
        tls: Option<rustls::ServerConfig>,
        connections: &Arc<Connections>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Accept {
        let tls = tls.map(|mut tls| {
            tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            TlsAcceptor::from(Arc::new(tls))
        });
        Accept {
            listener: self.http,
            tls,
            connections: connections.clone(),
            stop: stop.clone(),
            tasks: tasks.clone(),
        }
    }
}
