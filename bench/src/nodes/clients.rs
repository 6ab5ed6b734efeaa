//! Clients: how fast they come, go on at another server, and are sent away.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use herald_acl::Username;
use tokio::time::{sleep, timeout};

use super::column::{Cpu, Figures};
use crate::{
    client::{Client, Login},
    cluster::Cluster,
    crowd::{Signed, connect as sign_in, for_each, open, subscribe},
    figures::percentile,
    https::{self, Connection},
    servers::herald::create_token,
    transport::{Target, Transport},
};

/// How often one client moves, and how many tokens are revoked.
const MOVES: usize = 100;
const REVOKED: usize = 20;

/// How often each client pings.
const PINGS: usize = 10;

/// How long a connection may live whose right has ended.
const ENDS: Duration = Duration::from_secs(10);

/// How long servers with clients that do nothing are watched.
const IDLE: Duration = Duration::from_secs(5);

/// All users connect and subscribe, to the servers in turn, and then do nothing but ping.
pub(super) async fn connect(
    cluster: &Cluster<'_>,
    users: &[Login],
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let mut targets = vec![];
    for server in &cluster.servers {
        targets.push(Arc::new(server.target(Transport::Tcp)?.clone()));
    }
    let turns = users.iter().cloned().zip(targets.into_iter().cycle());
    cluster.rest().await?;
    let cpu = Cpu::of(cluster)?;
    let start = Instant::now();
    let join = |(login, target): (Login, Arc<Target>)| async move {
        subscribe(sign_in(open(target, login).await?).await?).await
    };
    let clients = for_each(turns.collect(), join).await;
    let (took, count) = (start.elapsed(), clients.len());
    if count < users.len() {
        bail!("not all clients connected");
    }
    figures.add("connects a second", count as f64 / took.as_secs_f64(), 0);
    cpu.add_each(figures, "a connect", count as u64)?;
    cluster.rest().await?;
    let cpu = Cpu::of(cluster)?;
    sleep(IDLE).await;
    let seconds = IDLE.as_secs();
    cpu.add_each(figures, "a second, clients idle", seconds)?;
    let cpu = Cpu::of(cluster)?;
    let ping = |(mut client, login): Signed| async move {
        let answers = client.is_alive().await;
        answers.then_some((client, login)).context("no answer")
    };
    let mut clients = clients;
    for _ in 0..PINGS {
        clients = for_each(clients, ping).await;
    }
    if clients.len() < count {
        bail!("not all clients are connected any more");
    }
    cpu.add_each(figures, "a ping", (PINGS * count) as u64)
}

/// One client id at one server after the other.
pub(super) async fn take_over(
    cluster: &Cluster<'_>,
    user: &Login,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    cluster.rest().await?;
    let mut took = vec![];
    let mut last: Option<Client> = None;
    for server in cluster.servers.iter().cycle().take(MOVES + 1) {
        let target = server.target(Transport::Tcp)?;
        let start = Instant::now();
        let mut client = Client::open(target).await?;
        client.connect(user).await?;
        let moved = start.elapsed();
        if let Some(mut last) = last.replace(client) {
            took.push(moved.as_secs_f64() * 1e3);
            // Its server has ended it.
            end(&mut last).await?;
        }
    }
    figures.add("takeover to CONNACK, p50 ms", percentile(&mut took, 0.5), 1);
    figures.add("the same, p99 ms", percentile(&mut took, 0.99), 1);
    Ok(())
}

/// Tokens are revoked at the first server, and their clients are connected to the last.
pub(super) async fn revoke(
    cluster: &Cluster<'_>,
    user: &Login,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let store = cluster.installation.store().await?;
    let made = make_tokens(&store, user).await;
    store.close().await;
    let first = cluster.first()?.target(Transport::SecureWebSocket)?;
    let last = cluster.last()?.target(Transport::Tcp)?;
    let mut connection = Connection::open(first).await?;
    let (mut ended, mut answered) = (vec![], vec![]);
    for (id, login) in made? {
        let mut client = Client::open(last).await?;
        client.connect(&login).await?;
        let request = https::delete(user, &format!("/api/v1/tokens/{id}"));
        let start = Instant::now();
        let elapsed = || start.elapsed().as_secs_f64() * 1e3;
        let asking = async { (connection.ask(&request).await, elapsed()) };
        let ending = async { (end(&mut client).await, elapsed()) };
        let ((status, answer), (end, until)) = tokio::join!(asking, ending);
        end?;
        let status = status?;
        if !(200..300).contains(&status) {
            bail!("a token is not revoked: {status}");
        }
        answered.push(answer);
        ended.push(until);
    }
    figures.add(
        "revocation to disconnect, p50 ms",
        percentile(&mut ended, 0.5),
        0,
    );
    figures.add("the same, most ms", percentile(&mut ended, 1.0), 0);
    figures.add(
        "until it is answered, p50 ms",
        percentile(&mut answered, 0.5),
        0,
    );
    Ok(())
}

/// More tokens of `user`: their ids, and clients that sign in with them.
async fn make_tokens(
    store: &herald_store::Store,
    user: &Login,
) -> anyhow::Result<Vec<(String, Login)>> {
    let found = store.user_by_name(&Username::parse(&user.name)?).await?;
    let id = found.context("no such user")?.id;
    let mut made = vec![];
    for number in 0..REVOKED {
        let password = format!("hrld_{:x>43}", format!("revoked{number}"));
        let token = create_token(store, &id, &password).await?;
        let login = Login {
            client_id: format!("{}-{number}", user.client_id),
            password,
            ..user.clone()
        };
        made.push((token.as_str().to_owned(), login));
    }
    Ok(made)
}

/// Waits until the server has ended this connection.
async fn end(client: &mut Client) -> anyhow::Result<()> {
    let end = async { while client.next().await.is_ok() {} };
    timeout(ENDS, end)
        .await
        .context("a connection has not ended")
}
