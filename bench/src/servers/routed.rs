//! Herald's broker alone, in a process of its own: no database, no HTTP. It notifies users at a rate, on demand.

use std::{
    collections::HashMap,
    env,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::{Policy, Role, Username};
use herald_broker::{
    Authenticate, Batch, Broker, Credential, DeniedAction, HostError, Identity, Inbox, Intake,
    Limits, Login, LoginRefusal, Notification, Observe, Origin, Position, Retain, RetainedChange,
    RetainedMessage, SendRefusal, SendRequest, Transport,
};
use parking_lot::Mutex;
use rand::Rng as _;
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{client, clock, figures::percentile, payload::payload, process::Process};

/// How long a client may take to sign in.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// The process, and the way to tell it what to do.
pub(crate) struct Routed {
    _process: Process,
    pub(crate) address: SocketAddr,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Routed {
    /// Starts it for `users` users.
    pub(crate) fn start(users: usize) -> anyhow::Result<Self> {
        let mut process = Process::start(
            Command::new(env::current_exe()?)
                .args(["serve-broker", &users.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped()),
        )?;
        let child = process.child();
        let orders = child.stdin.take().context("no standard input")?;
        let mut answers = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut address = String::new();
        answers.read_line(&mut address)?;
        Ok(Self {
            _process: process,
            address: address.trim().parse()?,
            orders,
            answers,
        })
    }

    /// Has it notify `count` random users, `rate` a second; returns the median of what a call took, in microseconds. It is
    /// a call that blocks.
    pub(crate) fn notify(&mut self, rate: u32, count: u32) -> anyhow::Result<f64> {
        writeln!(self.orders, "{rate} {count}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim().parse()?)
    }
}

/// What that process does, until its standard input ends.
pub(crate) async fn serve(users: &[client::Login]) -> anyhow::Result<()> {
    let host = Arc::new(Memory::default());
    let broker = Broker::start(Limits::default(), Policy::builtin(), host.clone()).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let names: Vec<Username> = users
        .iter()
        .map(|login| Username::parse(&login.name))
        .collect::<Result<_, _>>()?;
    let mut accepting = JoinSet::new();
    accepting.spawn(accept(listener, broker.clone()));
    while let Some(order) = tokio::task::spawn_blocking(read_order).await? {
        let [rate, count] = order?;
        let took = notify(&broker, &host, &names, rate, count).await;
        println!("{took}");
    }
    match accepting.try_join_next() {
        Some(crashed) => Ok(crashed?),
        None => Ok(()),
    }
}

/// Serves whoever connects, until one of the connections panics.
async fn accept(listener: TcpListener, broker: Broker) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, peer)) = accepted {
                let broker = broker.clone();
                connections.spawn(async move {
                    if stream.set_nodelay(true).is_ok() {
                        let deadline = Instant::now() + HANDSHAKE;
                        let transport = Transport::Tcp;
                        let origin = Origin { peer, transport };
                        broker.serve(stream, origin, deadline).await;
                    }
                });
            },
            Some(ended) = connections.join_next() => ended.expect("a connection does not panic"),
        }
    }
}

async fn notify(broker: &Broker, host: &Memory, users: &[Username], rate: u32, count: u32) -> f64 {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut took = vec![];
    for _ in 0..count {
        ticks.tick().await;
        let user = &users[rand::rng().random_range(0..users.len())];
        let notification = host.finish(user);
        let start = clock::now();
        broker.notify(user.as_str(), user, &notification);
        took.push((clock::now() - start) as f64 / 1e3);
    }
    percentile(&mut took, 0.5)
}

/// The next line of standard input: two numbers. `None` at its end.
fn read_order() -> Option<anyhow::Result<[u32; 2]>> {
    let line = std::io::stdin().lines().next()?;
    let parse = || {
        let line = line?;
        let numbers: Vec<u32> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        match numbers[..] {
            [rate, count] => Ok([rate, count]),
            _ => bail!("an order has two numbers"),
        }
    };
    Some(parse())
}

/// Inboxes without a disk. Everyone may sign in.
#[derive(Default)]
struct Memory {
    inboxes: Mutex<HashMap<String, Vec<Notification>>>,
}

impl Memory {
    /// Appends a notification that tells when it was made.
    fn finish(&self, user: &Username) -> Notification {
        let mut inboxes = self.inboxes.lock();
        let inbox = inboxes.entry(user.to_string()).or_default();
        let notification = Notification {
            seq: inbox.len() as i64 + 1,
            payload: payload(clock::now()).into(),
        };
        inbox.push(notification.clone());
        notification
    }
}

impl Authenticate for Memory {
    fn authenticate(&self, login: Login) -> BoxFuture<'static, Result<Identity, LoginRefusal>> {
        let identity = Username::parse(&login.username).map(|username| Identity {
            user_id: login.username.as_str().into(),
            username,
            role: Role::User,
            credential: Credential::Password,
        });
        async { identity.map_err(|_| LoginRefusal::BadCredentials) }.boxed()
    }
}

impl Inbox for Memory {
    fn position(
        &self,
        user: &Identity,
        _: Option<&Arc<str>>,
    ) -> BoxFuture<'static, Result<Position, HostError>> {
        let inboxes = self.inboxes.lock();
        let newest = inboxes.get(user.username.as_str()).map_or(0, Vec::len) as i64;
        let position = Position {
            acknowledged: newest,
            newest,
        };
        async move { Ok(position) }.boxed()
    }

    fn set_position(
        &self,
        user: &Identity,
        client_id: &Arc<str>,
        _: i64,
    ) -> BoxFuture<'static, Result<Position, HostError>> {
        self.position(user, Some(client_id))
    }

    fn read(
        &self,
        user: &Identity,
        after: i64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Batch, HostError>> {
        let inboxes = self.inboxes.lock();
        let inbox = inboxes.get(user.username.as_str());
        let later = inbox.and_then(|inbox| inbox.get(usize::try_from(after).ok()?..));
        let later = later.unwrap_or_default();
        let batch = Batch {
            notifications: later.iter().take(limit).cloned().collect(),
            more: later.len() > limit,
        };
        async { Ok(batch) }.boxed()
    }

    fn epoch(&self) -> Arc<str> {
        "e1".into()
    }

    fn acknowledge(&self, _: &Identity, _: Option<&Arc<str>>, _: i64) {}
}

impl Intake for Memory {
    fn send(&self, _: &Identity, _: SendRequest) -> BoxFuture<'static, Result<(), SendRefusal>> {
        async { Err(SendRefusal::Unavailable) }.boxed()
    }
}

impl Observe for Memory {
    fn denied(&self, _: DeniedAction<'_>) {}
}

impl Retain for Memory {
    fn load(&self) -> BoxFuture<'static, Result<Vec<RetainedMessage>, HostError>> {
        async { Ok(vec![]) }.boxed()
    }

    fn save(&self, _: Vec<RetainedChange>) -> BoxFuture<'static, Result<(), HostError>> {
        async { Ok(()) }.boxed()
    }
}
