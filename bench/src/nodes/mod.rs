//! One, two and three servers on one database, side by side: what each more of them adds, and what it costs.

mod clients;
mod column;
mod messages;
mod shared;

use anyhow::bail;
use clap::Args;

use crate::{
    client::Login,
    cluster::Cluster,
    databases::{self, Database},
    e2e,
    figures::Shown,
    process::raise_open_files,
    servers,
};
use column::Figures;

/// Messages a second from end to end, and for how long.
const RATE: u64 = 200;
const SECONDS: u64 = 6;

/// Connections to a server beside those of the clients.
const OTHERS: usize = 400;

/// What is measured.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many servers.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3], value_parser = clap::value_parser!(u8).range(1..=16))]
    counts: Vec<u8>,
    /// Clients that connect, each a user of its own.
    #[arg(long, default_value_t = 2_000)]
    clients: usize,
    /// Messages that are to be finished, beside those that were sent before.
    #[arg(long, default_value_t = 10_000)]
    messages: usize,
    #[command(flatten)]
    pub(crate) databases: databases::Options,
}

pub(crate) async fn run(options: &Options, databases: &[Database]) -> anyhow::Result<()> {
    raise_open_files();
    let on_servers: Vec<_> = databases.iter().filter(|d| d.is_on_server()).collect();
    if on_servers.is_empty() {
        bail!("several servers need a database server: --databases or --database");
    }
    println!(
        "All servers, their database and the load share this machine: with more servers each has less of it. {} clients connect \
         over TCP; {} messages are finished, and what was sent before; from end to end {RATE} messages a second are sent to the first server for {SECONDS} s \
         and heard at all; shared messages are published at the first server and heard at the last, QoS 1, {} under way at most\n",
        options.clients,
        options.messages,
        crate::pubsub::load::UNDER_WAY
    );
    // Those who send, and those who only connect.
    let users = servers::users(messages::USERS + options.clients.max(1));
    for database in on_servers {
        let mut columns = Vec::with_capacity(options.counts.len());
        for &count in &options.counts {
            columns.push(measure(database, &users, count.into(), options).await?);
        }
        print(database, &options.counts, &columns);
    }
    Ok(())
}

async fn measure(
    database: &Database,
    users: &[Login],
    count: usize,
    options: &Options,
) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let connections = users.len() + OTHERS;
    let cluster = Cluster::start(database, users, count, connections, None).await?;
    // Before there is anything else in the inboxes.
    let round = e2e::round(&cluster, RATE, SECONDS).await?;
    if round.failed + round.missing + round.again > 0 {
        bail!(
            "{} sends failed, {} notifications are missing, {} came again",
            round.failed,
            round.missing,
            round.again
        );
    }
    figures.add("send to the last server, p50 ms", round.p50, 1);
    figures.add("the same, p99 ms", round.p99, 1);
    let across = |figure| (count > 1).then_some(figure);
    figures.add_if(
        "from one server to another, p50 ms",
        across(round.to_others.0),
        1,
    );
    figures.add_if("the same, p99 ms", across(round.to_others.1), 1);
    messages::accept(&cluster, &mut figures).await?;
    messages::finish(&cluster, options.messages, &mut figures).await?;
    let clients = &users[messages::USERS..];
    clients::connect(&cluster, clients, &mut figures).await?;
    clients::take_over(&cluster, &clients[0], &mut figures).await?;
    clients::revoke(&cluster, &clients[0], &mut figures).await?;
    cluster.stop();
    shared::measure(database, count, &mut figures).await?;
    Ok(figures)
}

fn print(database: &Database, counts: &[u8], columns: &[Figures]) {
    print!("{:<48}", database.name);
    for count in counts {
        print!(" {:>12}", format!("{count} server(s)"));
    }
    println!();
    let rows = columns.first().map_or(0, |column| column.0.len());
    for row in 0..rows {
        print!("{:<48}", columns[0].0[row].0);
        for column in columns {
            let (_, figure, decimals) = &column.0[row];
            print!(" {:>12}", Shown(*figure, *decimals));
        }
        println!();
    }
    println!();
}
