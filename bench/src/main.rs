//! Measures Herald beside something that gives the figures a meaning. Release builds only:
//! `cargo run --release -p herald-bench -- acl`, or any other of its commands; without one it lists them.

mod acl;
mod client;
mod clock;
mod connections;
mod crowd;
mod figures;
mod machine;
mod packets;
mod process;
mod pubsub;
mod routing;
mod servers;
mod store;
mod transport;

use std::net::SocketAddr;

use clap::{Parser, Subcommand, ValueEnum as _};
use tokio::signal::{
    ctrl_c,
    unix::{SignalKind, signal},
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
    /// One ACL decision on policies of growing size.
    Acl,
    /// Durable sends through the store, beside the disk's own fdatasync.
    Store {
        /// Where the database is made and removed; it should be on the disk that matters.
        #[arg(long, default_value = ".")]
        dir: std::path::PathBuf,
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

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if cfg!(debug_assertions) {
        anyhow::bail!("this is a debug build; use cargo run --release -p herald-bench");
    }
    match cli.command {
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
        done = measure(cli.command) => done,
        _ = ctrl_c() => anyhow::bail!("interrupted"),
        _ = terminate.recv() => anyhow::bail!("terminated"),
    }
}

async fn measure(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Acl => acl::run(),
        Command::Store { dir } => store::run(&dir).await,
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
        Command::ServeBroker { .. } | Command::ServeRumqttd { .. } => Ok(()),
    }
}
