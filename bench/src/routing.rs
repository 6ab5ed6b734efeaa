//! From a finished message to its owner's socket, and whether that depends on how many users there are.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::Rng as _;
use tokio::{
    io::AsyncWriteExt as _,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use crate::{
    client::{Client, Login, Receiver},
    clock,
    crowd::{Signed, connect, for_each, open, subscribe},
    figures::{Shown, median, percentile},
    packets::{self, Packet},
    payload::{made, payload},
    process::raise_open_files,
    servers::{self, routed::Routed, rumqttd},
    transport::{Target, Transport},
};

/// Few users.
const FEW: usize = 1000;

/// Messages a second, and in all.
const RATE: u32 = 200;
const COUNT: u32 = 2000;

/// How long the last messages may be under way.
const LAST: Duration = Duration::from_secs(5);

/// What one server took.
#[derive(Default)]
struct Round {
    users: usize,
    /// In microseconds; `None` if nothing came.
    p50: Option<f64>,
    p99: Option<f64>,
    /// What did not come within [`LAST`].
    lost: usize,
    /// What a call of `Broker::notify` took.
    call: Option<f64>,
}

pub(crate) async fn run(many: usize, repeats: usize) -> anyhow::Result<()> {
    raise_open_files();
    println!(
        "{RATE} messages/s to random users for {} s, subscribed at QoS 1 over TCP; medians of {repeats} rounds\n\
         Herald: from Broker::notify, in the server, to the client. rumqttd: from one publisher's socket to the client.\n",
        COUNT / RATE
    );
    let mut rounds: [Vec<Round>; 4] = Default::default();
    for _ in 0..repeats {
        for (i, users) in [FEW, many].into_iter().enumerate() {
            let users = servers::users(users);
            rounds[i].push(herald(&users).await?);
            rounds[i + 2].push(rumqttd(&users).await?);
        }
    }
    println!(
        "{:<10} {:>8} {:>10} {:>10} {:>8} {:>16}",
        "server", "users", "p50 us", "p99 us", "late", "notify call us"
    );
    for (name, [few, many]) in [
        ("Herald", [&rounds[0], &rounds[1]]),
        ("rumqttd", [&rounds[2], &rounds[3]]),
    ] {
        let (few, many) = (middle(few), middle(many));
        for round in [&few, &many] {
            println!(
                "{name:<10} {:>8} {:>10} {:>10} {:>8} {:>16}",
                round.users,
                Shown(round.p50, 0),
                Shown(round.p99, 0),
                round.lost,
                Shown(round.call, 1)
            );
        }
        println!(
            "{name:<10} {:>8} {:>10} {:>10} {:>8} {:>16}",
            "ratio",
            ratio(many.p50, few.p50),
            ratio(many.p99, few.p99),
            "",
            ratio(many.call, few.call)
        );
    }
    Ok(())
}

fn ratio(many: Option<f64>, few: Option<f64>) -> Shown {
    Shown(many.zip(few).map(|(many, few)| many / few), 2)
}

/// The medians of `rounds`, and all that was lost.
fn middle(rounds: &[Round]) -> Round {
    let of = |figure: fn(&Round) -> Option<f64>| {
        let figures: Vec<f64> = rounds.iter().filter_map(figure).collect();
        (!figures.is_empty()).then(|| median(&figures))
    };
    Round {
        users: rounds.iter().map(|r| r.users).min().unwrap_or(0),
        p50: of(|r| r.p50),
        p99: of(|r| r.p99),
        lost: rounds.iter().map(|r| r.lost).sum(),
        call: of(|r| r.call),
    }
}

async fn herald(users: &[Login]) -> anyhow::Result<Round> {
    let mut server = Routed::start(users.len())?;
    let target = Target {
        transport: Transport::Tcp,
        address: server.address,
        trust: None,
    };
    let crowd = Crowd::gather(&target, users).await?;
    let (call, _server) =
        tokio::task::spawn_blocking(move || server.notify(RATE, COUNT).map(|call| (call, server)))
            .await??;
    let mut round = crowd.end().await;
    round.call = Some(call);
    Ok(round)
}

async fn rumqttd(users: &[Login]) -> anyhow::Result<Round> {
    let server = rumqttd::start(users.len() + 10)?;
    let target = server.target(Transport::Tcp)?;
    let crowd = Crowd::gather(target, users).await?;
    let mut publisher = Client::open(target).await?;
    publisher.connect(&servers::admin()).await?;
    let (mut acknowledgements, mut writer) = publisher.split()?;
    // Read, or the server stops reading.
    let mut reading = JoinSet::new();
    reading.spawn(async move { while acknowledgements.next().await.is_ok() {} });
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for i in 0..COUNT {
        ticks.tick().await;
        let user = rand::rng().random_range(0..crowd.names.len());
        let topic = format!("users/{}/notifications", crowd.names[user]);
        let packet = packets::publish(&topic, Some(i as u16 + 1), &payload(clock::now()));
        writer.write_all(&packet).await?;
    }
    Ok(crowd.end().await)
}

/// Clients that note how long each message took.
struct Crowd {
    names: Vec<String>,
    /// In microseconds.
    took: Arc<Mutex<Vec<f64>>>,
    /// Ended when dropped.
    _clients: JoinSet<()>,
}

impl Crowd {
    async fn gather(target: &Target, users: &[Login]) -> anyhow::Result<Self> {
        let target = Arc::new(target.clone());
        let join = move |login| {
            let target = target.clone();
            async move { subscribe(connect(open(target, login).await?).await?).await }
        };
        let joined: Vec<Signed> = for_each(users.to_vec(), join).await;
        let took = Arc::<Mutex<Vec<f64>>>::default();
        let (mut names, mut clients) = (vec![], JoinSet::new());
        for (client, login) in joined {
            names.push(login.name);
            let (receiver, writer) = client.split()?;
            clients.spawn(listen(receiver, writer, took.clone()));
        }
        // What signing in has left to do is not measured.
        sleep(Duration::from_secs(1)).await;
        Ok(Self {
            names,
            took,
            _clients: clients,
        })
    }

    /// Waits for the last messages.
    async fn end(self) -> Round {
        let deadline = Instant::now() + LAST;
        while self.took.lock().len() < COUNT as usize && Instant::now() < deadline {
            sleep(Duration::from_millis(20)).await;
        }
        let mut took = self.took.lock();
        let came = !took.is_empty();
        Round {
            users: self.names.len(),
            p50: came.then(|| percentile(&mut took, 0.5)),
            p99: came.then(|| percentile(&mut took, 0.99)),
            lost: (COUNT as usize).saturating_sub(took.len()),
            call: None,
        }
    }
}

/// Acknowledges what comes, until the server goes.
async fn listen(
    mut receiver: Receiver,
    mut writer: tokio::net::tcp::OwnedWriteHalf,
    took: Arc<Mutex<Vec<f64>>>,
) {
    while let Ok(packet) = receiver.next().await {
        let arrived = clock::now();
        let Packet::Publish { packet_id, payload } = packet else {
            continue;
        };
        if let Some(made) = made(&payload) {
            took.lock().push((arrived - made) as f64 / 1e3);
        }
        if let Some(id) = packet_id
            && writer.write_all(&packets::puback(id)).await.is_err()
        {
            return;
        }
    }
}
