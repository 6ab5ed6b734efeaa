//! The same promise of several servers on one database, behind a load balancer, whatever becomes of each of them.

use std::collections::BTreeSet;

use herald_test_databases::{CuttingProxy, DatabaseKind, ServerKind, TestDatabase, TestServer};
use herald_tests::{Balancer, FakeClock, chosen_kind, until};
use rand::{Rng as _, seq::IndexedRandom as _};
use reqwest::Method;

use super::*;
use crate::{claims::Claims, doomed::Doomed};

/// How many servers there are.
const SERVERS: usize = 3;

/// How often something happens.
const ROUNDS_OF_SEVERAL: u32 = 20;

/// What may become of a server.
#[derive(Debug, Clone, Copy)]
enum Mishap {
    /// SIGKILL, and a new start.
    Killed,
    /// SIGSTOP until the others hold it to be gone.
    Frozen,
    /// Its connections to the database are cut, the listener's among them.
    Cut,
    /// All servers' are.
    AllCut,
    /// The database does not answer it until it gives itself up.
    CutOff,
    /// Its clock is set.
    Clock,
    /// The database's server is killed, and starts again.
    DatabaseKilled,
}

const MISHAPS: [Mishap; 9] = [
    Mishap::Killed,
    Mishap::Killed,
    Mishap::Frozen,
    Mishap::Cut,
    Mishap::Cut,
    Mishap::AllCut,
    Mishap::CutOff,
    Mishap::Clock,
    Mishap::DatabaseKilled,
];

/// Seconds.
const CLOCKS: [&str; 4] = ["-3600", "-5", "+0", "+3600"];

/// One of them.
struct Server {
    herald: Herald,
    proxy: CuttingProxy,
    clock: FakeClock,
}

/// All of them, and what is before and behind them.
struct Servers<'a> {
    database: &'a mut TestServer,
    all: Vec<Server>,
    http: Balancer,
    mqtt: Balancer,
}

impl<'a> Servers<'a> {
    async fn start(
        kind: DatabaseKind,
        server: &'a mut TestServer,
        database: &Arc<TestDatabase>,
    ) -> Self {
        let mut all = vec![];
        for _ in 0..SERVERS {
            let proxy = CuttingProxy::start(kind, database.url()).await;
            let clock = FakeClock::new();
            let of_clock = clock.settings();
            let mut settings = vec![
                ("HERALD_DATABASE__URL", proxy.url()),
                ("HERALD_TLS__MODE", "off"),
                ("HERALD_WORKER__LEASE_MS", "5000"),
                ("HERALD_LIMITS__REQUESTS_PER_MINUTE", "0"),
                ("HERALD_LIMITS__REQUESTS_PER_MINUTE_PER_ADDRESS", "0"),
            ];
            settings.extend(of_clock.iter().map(|(key, value)| (*key, value.as_str())));
            let mut herald = Herald::stopped_on_database(database, &settings);
            herald.begin().await;
            all.push(Server {
                herald,
                proxy,
                clock,
            });
        }
        let servers = Self {
            database: server,
            all,
            http: Balancer::start().await,
            mqtt: Balancer::start().await,
        };
        servers.spread();
        servers
    }

    /// Has connections go to where they listen now.
    fn spread(&self) {
        let of = |address: fn(&Herald) -> &str| {
            let addresses = self.all.iter().map(|server| address(&server.herald));
            addresses.map(str::to_owned).collect()
        };
        self.http.spread_over(of(Herald::http_address));
        self.mqtt.spread_over(of(Herald::tcp_address));
    }

    async fn meet(&mut self, mishap: Mishap, victim: usize, chance: &mut StdRng) {
        let witness = &self.all[(victim + 1) % SERVERS].herald;
        let server = &self.all[victim];
        match mishap {
            Mishap::Killed => {
                let herald = &mut self.all[victim].herald;
                herald.kill().await;
                herald.begin().await;
                self.spread();
            }
            Mishap::Frozen => {
                server.herald.signal("STOP");
                until("the others to give it up", async || {
                    let listed = witness.cli(&["nodes"]).succeed().await;
                    (listed.lines().count() < SERVERS).then_some(())
                })
                .await;
                server.herald.signal("CONT");
                is_well(&server.herald).await;
            }
            Mishap::Cut => server.proxy.cut_all(),
            Mishap::AllCut => self.all.iter().for_each(|server| server.proxy.cut_all()),
            Mishap::CutOff => {
                server.proxy.hold();
                until("it to give itself up", async || {
                    (readiness(&server.herald).await == Some(503)).then_some(())
                })
                .await;
                server.proxy.release();
                is_well(&server.herald).await;
            }
            Mishap::DatabaseKilled => {
                self.database.restart().await;
                for server in &self.all {
                    is_well(&server.herald).await;
                }
            }
            Mishap::Clock => {
                let offset = CLOCKS.choose(chance).expect("there are some");
                server.clock.set(offset);
            }
        }
    }
}

/// A server of the database that was chosen, which nobody else uses; `None` if files were.
async fn database_server() -> Option<(DatabaseKind, TestServer)> {
    let kind = chosen_kind()?;
    let server = match kind {
        DatabaseKind::Postgres => ServerKind::Postgres,
        DatabaseKind::MariaDb => ServerKind::MariaDb,
        DatabaseKind::Sqlite | DatabaseKind::MySql => return None,
    };
    Some((kind, TestServer::start(server).await?))
}

/// What `/readyz` says; `None` if there was no answer.
async fn readiness(herald: &Herald) -> Option<u16> {
    let http = Http::anonymous(herald);
    let answer = http.request(Method::GET, "/readyz").send().await.ok()?;
    Some(answer.status().as_u16())
}

async fn is_well(herald: &Herald) {
    until("/readyz to be well", async || {
        (readiness(herald).await == Some(200)).then_some(())
    })
    .await;
}

/// No client id of a user has two sessions.
async fn each_session_is_in_one_place(admin: &Http) {
    let mut seen = BTreeSet::new();
    let list = admin.get("/admin/connections?limit=200").await.expect(200);
    for connection in list["items"].as_array().unwrap() {
        let of = [&connection["username"], &connection["client_id"]].map(ToString::to_string);
        assert!(seen.insert(of), "{list}");
    }
    assert!(list["next"].is_null(), "all are listed");
    assert!(seen.len() > USERS as usize, "{list}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_leaked_whatever_becomes_of_several_servers() {
    let Some((kind, mut server)) = database_server().await else {
        eprintln!("not tested: a file has one server");
        return;
    };
    let database = Arc::new(server.empty().await);
    let started = Instant::now();
    let plan = Plan::from_env(ROUNDS_OF_SEVERAL);
    let mut servers = Servers::start(kind, &mut server, &database).await;
    let claims = Claims::watch(&database).await;
    let first = &servers.all[0].herald;
    let admin = first.http("admin").await;
    let admin = admin.by_way_of(servers.http.address());
    let mut users = users(first).await;
    for (_, http) in &mut users {
        *http = http.by_way_of(servers.http.address());
    }
    let world = Arc::new(World::new(servers.mqtt.address()));
    let clients = clients(&users, &world, &plan);
    let mut chance = plan.chance(1 << 32);
    let storm = async {
        for round in plan.kills() {
            world.events(round.events).await;
            let mishap = *MISHAPS.choose(&mut chance).expect("there are some");
            let victim = chance.random_range(0..SERVERS);
            eprintln!(
                "{:.1} s: server {victim}: {mishap:?}",
                started.elapsed().as_secs_f32()
            );
            let doomed = Doomed::enter(&admin, &world.mqtt).await;
            let happens = servers.meet(mishap, victim, &mut chance);
            tokio::join!(happens, doomed.revoke());
            doomed.has_ended().await;
        }
        for server in &servers.all {
            server.clock.set("+0");
            is_well(&server.herald).await;
        }
    };
    let in_the_end = async {
        each_session_is_in_one_place(&admin).await;
        claims.none_was_taken_from_who_had_it().await;
    };
    let tally = weather(storm, clients, &users, &world, in_the_end).await;
    eprintln!(
        "{} mishaps, {} messages, {} claimed again, {} notifications heard again, {:.1} s",
        plan.rounds,
        tally.messages,
        tally.claimed_again,
        tally.heard_again,
        started.elapsed().as_secs_f32()
    );
}
