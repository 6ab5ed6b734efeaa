//! A start with many messages in the queue: until it is ready, until they are done, and what it takes to let them wait.

use std::time::{Duration, Instant};

use anyhow::bail;
use futures_util::{StreamExt as _, stream};
use herald_acl::Username;
use herald_store::{Accepted, Delay, Store, Timestamp, UserId};
use tokio::time::sleep;

use crate::{
    client::Login,
    databases::Database,
    figures::{Shown, median},
    https::{self, Connection},
    servers::{
        self, Server,
        herald::{Installation, Listeners},
    },
    transport::Transport,
};

/// Users, one of whom may have all messages.
const USERS: usize = 100;

/// Messages put into the queue at once.
const AT_ONCE: usize = 1024;

/// About what a message has.
const BODY_BYTES: usize = 100;

/// How long a server that has nothing to do is watched, and after what.
const IDLE: Duration = Duration::from_secs(10);
const SETTLED: Duration = Duration::from_secs(3);

/// How often the server's memory and progress are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How it is measured.
pub(crate) struct Options {
    /// Messages in the queue.
    pub(crate) messages: usize,
    /// How long they may take to be done; the rate is of those that were by then.
    pub(crate) patience: Duration,
}

pub(crate) async fn run(options: &Options, databases: &[Database]) -> anyhow::Result<()> {
    println!(
        "{} messages of {BODY_BYTES} bytes; nobody listens",
        options.messages
    );
    let mut spread = Vec::with_capacity(databases.len());
    println!(
        "\n{:<28} {:>10} {:>10} {:>12} {:>12} {:>14} {:>17}",
        "waiting for 30 days",
        "database",
        "run.json s",
        "readyz s",
        "resident MB",
        "CPU ms in 10 s",
        "database's in 10 s"
    );
    for database in databases {
        let empty = Queue::fill(database, USERS, 0).await?;
        empty.idle("none").await?;
        let queue = Queue::fill(database, USERS, options.messages).await?;
        queue.idle(&format!("of {USERS} users")).await?;
        spread.push(queue);
    }
    println!(
        "\n{:<28} {:>10} {:>10} {:>12} {:>10} {:>8} {:>8} {:>9} {:>11} {:>10} {:>10} {:>9}",
        "due at the start",
        "database",
        "run.json s",
        "readyz s",
        "done",
        "in s",
        "done/s",
        "CPU us",
        "database us",
        "ready MB",
        "median MB",
        "peak MB"
    );
    for queue in spread {
        queue.drain(&format!("of {USERS} users"), options).await?;
    }
    for database in databases {
        let one = Queue::fill(database, 1, options.messages).await?;
        one.drain("all of one user", options).await?;
    }
    Ok(())
}

/// An installation with messages that wait for 30 days.
struct Queue<'a> {
    database: &'a Database,
    installation: Installation,
    users: Vec<Login>,
    messages: usize,
}

/// A server that was just started.
struct Started {
    server: Server,
    /// From its start until it said that it is ready, and until it answered so.
    said: Duration,
    answered: Duration,
}

impl<'a> Queue<'a> {
    /// `messages` in the queue, of the first `owners` in turn.
    async fn fill(database: &'a Database, owners: usize, messages: usize) -> anyhow::Result<Self> {
        let users = servers::users(USERS);
        let installation = Installation::create(database, &users).await?;
        let store = installation.store().await?;
        let filled = fill(&store, &users[..owners], messages).await;
        store.close().await;
        filled?;
        // A server makes its certificates on its first start.
        installation.start(Listeners::Secure, 100)?.process.stop();
        Ok(Self {
            database,
            installation,
            users,
            messages,
        })
    }

    async fn start(&self) -> anyhow::Result<Started> {
        let start = Instant::now();
        let server = self.installation.start(Listeners::Secure, 100)?;
        let said = start.elapsed();
        let mut connection = Connection::open(server.target(Transport::SecureWebSocket)?).await?;
        let status = connection.ask(&https::get("/readyz")).await?;
        if status != 200 {
            bail!("/readyz answered {status}");
        }
        Ok(Started {
            server,
            said,
            answered: start.elapsed(),
        })
    }

    /// Lets all messages wait.
    async fn idle(&self, name: &str) -> anyhow::Result<()> {
        let started = self.start().await?;
        let process = &started.server.process;
        sleep(SETTLED).await;
        let (before, database_before) = (process.cpu()?, self.database.cpu()?);
        sleep(IDLE).await;
        let cpu = process.cpu()? - before;
        let database_us = self.database.cpu_each(database_before, 1)?;
        println!(
            "{name:<28} {:>10} {:>10.2} {:>12.2} {:>12.1} {:>14.0} {:>17}",
            self.database.name,
            started.said.as_secs_f64(),
            started.answered.as_secs_f64(),
            process.resident_kb()? / 1024.0,
            cpu.as_secs_f64() * 1e3,
            Shown(database_us.map(|us| us / 1e3), 0)
        );
        started.server.process.stop();
        Ok(())
    }

    /// Lets all messages be due, and the server work.
    async fn drain(&self, name: &str, options: &Options) -> anyhow::Result<()> {
        // Opened before the server is started: that reads the whole file.
        let store = self.installation.store().await?;
        store.set_delay(Delay::Fixed { ms: 0 }, true).await?;
        let drained = self.watch(&store, name, options).await;
        store.close().await;
        drained
    }

    async fn watch(&self, store: &Store, name: &str, options: &Options) -> anyhow::Result<()> {
        let users = ids(store, &self.users).await?;
        let started = self.start().await?;
        let process = &started.server.process;
        let ready = process.resident_kb()?;
        let (before, cpu) = (done(store, &users).await?, process.cpu()?);
        let database_cpu = self.database.cpu()?;
        let start = Instant::now();
        let mut memory = vec![];
        // The time of the earliest message is one look at an index, and there is none at the end.
        while store.next_due().await?.is_some() && start.elapsed() < options.patience {
            memory.push(process.resident_kb()?);
            sleep(LOOK).await;
        }
        let took = start.elapsed().as_secs_f64();
        let all = done(store, &users).await?;
        let finished = (all - before) as f64;
        let database_cpu = self.database.cpu_each(database_cpu, finished as u64)?;
        println!(
            "{name:<28} {:>10} {:>10.2} {:>12.2} {:>10} {:>8.1} {:>8.0} {:>9.1} {:>11} {:>10.1} {:>10.1} {:>9.1}",
            self.database.name,
            started.said.as_secs_f64(),
            started.answered.as_secs_f64(),
            all,
            took,
            finished / took,
            (process.cpu()? - cpu).as_secs_f64() * 1e6 / finished,
            Shown(database_cpu, 1),
            ready / 1024.0,
            median(&memory) / 1024.0,
            process.peak_kb()? / 1024.0
        );
        if all < self.messages as i64 {
            println!(
                "  not all were done after {:.0} s",
                options.patience.as_secs_f64()
            );
        }
        started.server.process.stop();
        Ok(())
    }
}

/// Has `count` messages accepted, of `owners` in turn.
pub(crate) async fn fill(store: &Store, owners: &[Login], count: usize) -> anyhow::Result<()> {
    let delay = Delay::Fixed { ms: Delay::MAX_MS };
    store.set_delay(delay, false).await?;
    let owners = ids(store, owners).await?;
    let mut answers = stream::iter(0..count)
        .map(|i| {
            let body = format!("{i:x>BODY_BYTES$}");
            store.accept(&owners[i % owners.len()], body, None, Timestamp::now())
        })
        .buffer_unordered(AT_ONCE);
    while let Some(answer) = answers.next().await {
        if !matches!(answer?, Accepted::New(_)) {
            bail!("a send without a key is always new");
        }
    }
    Ok(())
}

pub(crate) async fn ids(store: &Store, users: &[Login]) -> anyhow::Result<Vec<UserId>> {
    let mut ids = Vec::with_capacity(users.len());
    for user in users {
        let found = store.user_by_name(&Username::parse(&user.name)?).await?;
        ids.extend(found.map(|user| user.id));
    }
    Ok(ids)
}

/// How many messages of `users` are done: their notifications are numbered.
pub(crate) async fn done(store: &Store, users: &[UserId]) -> anyhow::Result<i64> {
    let mut done = 0;
    for user in users {
        done += store.position(user).await?.last.0;
    }
    Ok(done)
}
