//! Shared topics: how many messages a second arrive, and how long one takes.

pub(crate) mod load;

use load::{Load, Measured, SHAPES, Shape};

use crate::{
    databases::Database,
    figures::median,
    process::raise_open_files,
    servers::{
        self, Server,
        herald::{Installation, Listeners},
        mosquitto, rumqttd,
    },
    transport::Transport,
};

/// Connections of the largest shape, and room for more.
const CONNECTIONS: usize = 1000;

/// What is measured, on all servers.
#[derive(Clone, Copy)]
struct Case {
    shape: &'static Shape,
    qos: u8,
}

pub(crate) async fn run(repeats: usize) -> anyhow::Result<()> {
    raise_open_files();
    let users = servers::users(SHAPES.iter().map(|s| s.subscribers).max().unwrap_or(0));
    let installation = Installation::create(&Database::SQLITE, &users).await?;
    let mosquitto = mosquitto::program();
    if mosquitto.is_none() {
        println!("for mosquitto's figures: apt-get install mosquitto\n");
    }
    let cases: Vec<Case> = SHAPES
        .iter()
        .flat_map(|shape| [0, 1].map(|qos| Case { shape, qos }))
        .collect();
    // By case, then by server.
    let mut measured: Vec<Vec<(&str, Vec<Measured>)>> = cases.iter().map(|_| vec![]).collect();
    for _ in 0..repeats {
        let started = [
            Some(installation.start(Listeners::Plain, CONNECTIONS)),
            mosquitto
                .as_deref()
                .map(|m| mosquitto::start(m, &users, None)),
            Some(rumqttd::start(CONNECTIONS)),
        ];
        // All run at once, so that a busy machine is busy for all, and each is measured while the others idle.
        let servers: Vec<Server> = started.into_iter().flatten().collect::<Result<_, _>>()?;
        for (case, rows) in cases.iter().zip(&mut measured) {
            for server in &servers {
                let target = server.target(Transport::Tcp)?;
                let load = Load::gather([target; 2], case.shape, case.qos).await?;
                let result = load.measure(|| server.process.cpu()).await?;
                match rows.iter_mut().find(|(name, _)| *name == server.name) {
                    Some((_, results)) => results.push(result),
                    None => rows.push((server.name, vec![result])),
                }
            }
        }
    }
    print(&cases, &measured, repeats);
    Ok(())
}

fn print(cases: &[Case], measured: &[Vec<(&str, Vec<Measured>)>], repeats: usize) {
    println!("{}\n", load::terms());
    println!(
        "medians of {repeats} rounds; 'Herald/' is Herald's figure divided by that server's\n"
    );
    println!(
        "{:<9} {:>3} {:<10} {:>12} {:>8} {:>8} {:>8} {:>9} {:>9} {:>8} {:>6}",
        "shape",
        "QoS",
        "server",
        "delivered/s",
        "Herald/",
        "CPU us",
        "Herald/",
        "p50 us",
        "p99 us",
        "Herald/",
        "lost"
    );
    for (case, rows) in cases.iter().zip(measured) {
        let mut ours = None;
        for (name, results) in rows {
            let of = |f: fn(&Measured) -> f64| median(&results.iter().map(f).collect::<Vec<_>>());
            let (rate, cpu) = (of(|m| m.rate), of(|m| m.cpu));
            let (p50, p99) = (of(|m| m.p50), of(|m| m.p99));
            let lost: u64 = results.iter().map(|m| m.lost).sum();
            let (our_rate, our_cpu, our_p99) = *ours.get_or_insert((rate, cpu, p99));
            println!(
                "{:<9} {:>3} {name:<10} {rate:>12.0} {:>8.2} {cpu:>8.1} {:>8.2} {p50:>9.0} {p99:>9.0} {:>8.2} {lost:>6}",
                format!("{} to {}", case.shape.publishers, case.shape.subscribers),
                case.qos,
                our_rate / rate,
                our_cpu / cpu,
                our_p99 / p99,
            );
        }
    }
}
