//! Measures Herald beside something that gives the figures a meaning. Release builds only:
//! `cargo run --release -p herald-bench -- store`, or any other of its commands; without one it lists them.

mod accept;
mod backlog;
mod client;
mod clock;
mod cluster;
mod connections;
mod crowd;
mod databases;
mod disk;
mod e2e;
mod figures;
mod https;
mod machine;
mod nodes;
mod packets;
mod payload;
mod process;
mod pubsub;
mod routing;
mod servers;
mod simulate;
mod store;
mod transport;

use std::{env::temp_dir, net::SocketAddr, time::Duration};

use clap::{Parser, Subcommand, ValueEnum as _};
use tokio::{
    runtime::Builder,
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
};
use transport::Transport;

#[derive(Debug, Parser)]
#[command(
    about = "Measures Herald; prints the machine's facts with every figure",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Durable sends through the store, beside the disk's own fdatasync.
    Store {
        /// Where the database is made and removed; it should be on the disk that matters. Servers that are started for this
        /// run as another user, who has to reach it.
        #[arg(long, default_value = ".")]
        dir: std::path::PathBuf,
        /// How often all is measured; the medians are printed.
        #[arg(long, default_value_t = 1)]
        rounds: usize,
        #[command(flatten)]
        databases: databases::Options,
    },
    /// Durable sends over HTTPS, beside /healthz on the same connections and the disk's own fdatasync.
    Accept {
        /// Connections that send at once.
        #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 256])]
        at_once: Vec<usize>,
        /// How often all is measured; the medians are printed.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// How long each is measured each time, in milliseconds.
        #[arg(long, default_value_t = 1000)]
        phase_ms: u64,
        #[command(flatten)]
        databases: databases::Options,
    },
    /// From a send over HTTPS to its notification over WSS, at fixed rates, beside the disk's own fdatasync.
    E2e {
        /// Messages a second.
        #[arg(long, value_delimiter = ',', default_values_t = [10, 500, 2000])]
        rates: Vec<u64>,
        /// How often all is measured; the medians are printed.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// How many servers share the database, which is on a server then: messages are sent to one and heard at another.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
        nodes: u8,
        #[command(flatten)]
        databases: databases::Options,
    },
    /// One, two and three servers on one database: messages, clients, rights and shared topics.
    Nodes(nodes::Options),
    /// A start with many messages in the queue, and what they take until they are done, or while they wait.
    Backlog {
        /// Messages.
        #[arg(default_value_t = 1_000_000)]
        messages: usize,
        /// How long they may take to be done, in seconds; the rate is of those that were by then.
        #[arg(long, default_value_t = 600)]
        patience_s: u64,
        #[command(flatten)]
        databases: databases::Options,
    },
    /// Memory of an idle client and connects a second, beside mosquitto.
    Connections {
        /// How many clients, each a user of its own.
        #[arg(default_value_t = 15_000)]
        clients: usize,
        /// Over what; all four if left out.
        #[arg(long, value_delimiter = ',')]
        transports: Vec<Transport>,
        /// Open all connections before the first signs in, to tell what each stage takes. The server gives a connection
        /// 10 s to sign in, so only with few enough clients, such as 2000.
        #[arg(long)]
        stages: bool,
    },
    /// From a finished message to its owner's socket, with few and with many users, beside rumqttd.
    Routing {
        /// How many users are many; few are 1000.
        #[arg(default_value_t = 15_000)]
        users: usize,
        /// How often all is measured; the medians are printed.
        #[arg(long, default_value_t = 3)]
        repeats: usize,
    },
    /// Shared topics: one to one, one to 500 and 500 to one, beside mosquitto and rumqttd.
    Pubsub {
        /// How often all is measured; the medians are printed.
        #[arg(long, default_value_t = 3)]
        repeats: usize,
    },
    /// What very many nodes tell each other, as events without sockets; fails if a bound is broken.
    Simulate(simulate::Options),
    /// The broker alone, for `routing`.
    #[command(hide = true)]
    ServeBroker { users: usize },
    /// Stock rumqttd, for `routing` and `pubsub`.
    #[command(hide = true)]
    ServeRumqttd {
        address: SocketAddr,
        connections: usize,
    },
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if cfg!(debug_assertions) {
        anyhow::bail!("this is a debug build; use cargo run --release -p herald-bench");
    }
    let mut runtime = match cli.command {
        // One thread makes this load, and wakes no other for it: the server needs the processors.
        Command::Accept { .. } | Command::E2e { .. } | Command::Nodes(_) => {
            Builder::new_current_thread()
        }
        _ => Builder::new_multi_thread(),
    };
    runtime.enable_all().build()?.block_on(run(cli.command))
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::ServeBroker { users } => {
            return servers::routed::serve(&servers::users(users)).await;
        }
        Command::ServeRumqttd {
            address,
            connections,
        } => return servers::rumqttd::serve(address, connections),
        _ => println!("{}\nload before: {}\n", machine::facts(), machine::load()),
    }
    let mut terminate = signal(SignalKind::terminate())?;
    // Left alone, the servers would outlive a command that is told to end; dropped, they end with it.
    tokio::select! {
        done = measure(command) => done,
        _ = ctrl_c() => anyhow::bail!("interrupted"),
        _ = terminate.recv() => anyhow::bail!("terminated"),
    }
}

async fn measure(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Store {
            dir,
            rounds,
            databases,
        } => {
            // A server is started elsewhere than this is.
            let dir = dir.canonicalize()?;
            store::run(&dir, rounds, &databases.start(&dir).await?).await
        }
        Command::Accept {
            at_once,
            rounds,
            phase_ms,
            databases,
        } => {
            let options = accept::Options {
                at_once,
                rounds,
                phase: Duration::from_millis(phase_ms),
            };
            accept::run(&options, &databases.start(&temp_dir()).await?).await
        }
        Command::E2e {
            rates,
            rounds,
            nodes,
            databases,
        } => {
            let databases = databases.start(&temp_dir()).await?;
            e2e::run(&rates, rounds, nodes.into(), &databases).await
        }
        Command::Nodes(options) => {
            let databases = options.databases.start(&temp_dir()).await?;
            nodes::run(&options, &databases).await
        }
        Command::Backlog {
            messages,
            patience_s,
            databases,
        } => {
            let options = backlog::Options {
                messages,
                patience: Duration::from_secs(patience_s),
            };
            backlog::run(&options, &databases.start(&temp_dir()).await?).await
        }
        Command::Connections {
            clients,
            transports,
            stages,
        } => {
            let transports = match transports.is_empty() {
                true => Transport::value_variants().to_vec(),
                false => transports,
            };
            connections::run(connections::Options {
                clients,
                transports,
                stages,
            })
            .await
        }
        Command::Routing { users, repeats } => routing::run(users, repeats).await,
        Command::Pubsub { repeats } => pubsub::run(repeats).await,
        Command::Simulate(options) => simulate::run(&options),
        Command::ServeBroker { .. } | Command::ServeRumqttd { .. } => Ok(()),
    }
}
