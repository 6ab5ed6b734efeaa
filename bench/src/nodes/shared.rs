//! Shared topics: from the first server to the last, by each relay.

use std::time::Duration;

use herald_test_servers::NatsServer;
use tokio::task::spawn_blocking;

use super::column::Figures;
use crate::{
    cluster::Cluster,
    databases::Database,
    pubsub::load::{Load, SHAPES},
    servers,
    transport::Transport,
};

/// Connections to a server.
const CONNECTIONS: usize = 100;

/// Through the database, and through NATS if its program is there; one server alone needs neither.
pub(super) async fn measure(
    database: &Database,
    count: usize,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    by(database, count, "database", None, figures).await?;
    if count == 1 {
        return missing(figures, "NATS");
    }
    match spawn_blocking(NatsServer::start).await? {
        Ok(nats) => by(database, count, "NATS", Some(&nats.url()), figures).await,
        Err(error) => {
            println!("without figures of NATS: {error:#}\n");
            missing(figures, "NATS")
        }
    }
}

async fn by(
    database: &Database,
    count: usize,
    name: &str,
    relay: Option<&str>,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let [shape, ..] = &SHAPES;
    let users = servers::users(shape.subscribers);
    let cluster = Cluster::start(database, &users, count, CONNECTIONS, relay).await?;
    cluster.rest().await?;
    let first = cluster.first()?.target(Transport::Tcp)?;
    let last = cluster.last()?.target(Transport::Tcp)?;
    let load = Load::gather([first, last], shape, 1).await?;
    // What the relay is to carry is known by the others after a moment.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let cpu = || {
        let of_database = cluster.database.cpu()?.unwrap_or_default();
        Ok(cluster.cpu()? + of_database)
    };
    let measured = load.measure(cpu).await?;
    cluster.stop();
    let values = [
        Some(measured.rate),
        Some(measured.p50 / 1e3),
        Some(measured.p99 / 1e3),
        Some(measured.cpu),
        Some(measured.lost as f64),
    ];
    add(figures, name, values);
    Ok(())
}

fn missing(figures: &mut Figures, name: &str) -> anyhow::Result<()> {
    add(figures, name, [None; 5]);
    Ok(())
}

fn add(figures: &mut Figures, name: &str, [rate, p50, p99, cpu, lost]: [Option<f64>; 5]) {
    figures.add_if(&format!("shared messages a second by {name}"), rate, 0);
    figures.add_if("from publisher to subscriber, p50 ms", p50, 2);
    figures.add_if("the same, p99 ms", p99, 2);
    figures.add_if("CPU us of Heralds and database, each", cpu, 0);
    figures.add_if("lost", lost, 0);
}
