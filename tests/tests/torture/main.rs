//! A server that is killed again and again keeps its promise.
//!
//! Users send and listen while the server is ended by SIGKILL and started again on the same folder and ports. In the end
//! each message that was answered is finished, and each user has heard of exactly the own ones, in order and without a gap.
//!
//! What a killed process has handed to the kernel is not lost, so this shows that each promise is made after what it
//! promises was written, and not that it was on the disk by then: that is what SQLite's `synchronous=FULL` is for, and only
//! a power cut would show it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail them")]

mod claims;
mod doomed;
mod listener;
mod plan;
mod sender;
mod several;
mod user;
mod verdict;
mod world;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use herald_tests::{Herald, Http, Version, within};
use rand::rngs::StdRng;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    listener::Listener,
    plan::{Plan, Round},
    sender::Sender,
    user::User,
    verdict::Tally,
    world::{Phase, World},
};

/// How often the server is killed.
const ROUNDS: u32 = 30;

/// How many users send and listen.
const USERS: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_leaked_however_often_the_server_is_killed() {
    let started = Instant::now();
    let plan = Plan::from_env(ROUNDS);
    let mut herald = Herald::stopped_on_own_ports(&[
        ("HERALD_LIMITS__REQUESTS_PER_MINUTE", "0"),
        ("HERALD_LIMITS__REQUESTS_PER_MINUTE_PER_ADDRESS", "0"),
    ]);
    herald.begin().await;
    let users = users(&herald).await;
    let world = Arc::new(World::new(herald.tcp_address()));
    let clients = clients(&users, &world, &plan);
    let storm = async {
        for round in plan.kills() {
            kill(&mut herald, &world, round).await;
        }
    };
    let tally = weather(storm, clients, &users, &world, async {}).await;
    eprintln!(
        "{} kills, {} messages, {} claimed again, {} notifications heard again, {:.1} s",
        plan.rounds,
        tally.messages,
        tally.claimed_again,
        tally.heard_again,
        started.elapsed().as_secs_f32()
    );
}

/// Starts two that listen and one that sends for each user.
fn clients(users: &[(Arc<User>, Http)], world: &Arc<World>, plan: &Plan) -> Clients {
    let mut clients = Clients::default();
    for ((user, http), number) in users.iter().zip(0..) {
        let parts = (number * 3 + 1..).map(|part| plan.chance(part));
        clients.start(world, user, http, number, parts);
    }
    clients
}

/// Lets `storm` come over them, waits until all is as it has to be, and ends them.
async fn weather(
    storm: impl Future<Output = ()>,
    mut clients: Clients,
    users: &[(Arc<User>, Http)],
    world: &World,
    in_the_end: impl Future<Output = ()>,
) -> Tally {
    tokio::select! {
        () = storm => {}
        Some(failed) = clients.senders.join_next() => panic!("a sender ended: {failed:?}"),
        Some(failed) = clients.listeners.join_next() => panic!("a listener ended: {failed:?}"),
    }
    world.enter(Phase::Calm);
    within("the last answers", clients.senders.join_all()).await;
    let mut tally = Tally::default();
    for (user, http) in users {
        verdict::check(user, http, &mut tally).await;
    }
    in_the_end.await;
    world.enter(Phase::Over);
    within("the end of the listeners", clients.listeners.join_all()).await;
    tally
}

/// The users, whose messages wait for some milliseconds.
async fn users(herald: &Herald) -> Vec<(Arc<User>, Http)> {
    let admin = herald.http("admin").await;
    let delay = json!({"mode": "uniform", "min_ms": 0, "max_ms": 100});
    admin.set_delay(delay).await;
    let mut users = vec![];
    for number in 0..USERS {
        let name = format!("user-{number}");
        admin.create_user(&name, "user").await;
        let token = herald.cli(&["token", "create", &name]).succeed().await;
        let http = Http::bearer(herald, token.trim());
        users.push((Arc::new(User::new(name, token.trim().into())), http));
    }
    users
}

#[derive(Default)]
struct Clients {
    senders: JoinSet<()>,
    listeners: JoinSet<()>,
}

impl Clients {
    /// Starts those of a user: one that sends, in one of the ways there are, and two that listen.
    fn start(
        &mut self,
        world: &Arc<World>,
        user: &Arc<User>,
        http: &Http,
        number: u64,
        mut chance: impl Iterator<Item = StdRng>,
    ) {
        let mut chance = || chance.next().expect("there is no end of it");
        let sender = Sender {
            world: world.clone(),
            user: user.clone(),
            keyed: number % 5 != 4,
            chance: chance(),
        };
        match number % 4 {
            0 | 1 => self.senders.spawn(sender.over_http(http.clone())),
            2 => self.senders.spawn(sender.over_mqtt(Version::V311)),
            _ => self.senders.spawn(sender.over_mqtt(Version::V5)),
        };
        let kept = usize::from(number % 2 == 1);
        for (kept, version) in [
            (true, Version::BOTH[kept]),
            (false, Version::BOTH[1 - kept]),
        ] {
            let listener = Listener {
                world: world.clone(),
                user: user.clone(),
                version,
                kept,
                place: None,
                chance: chance(),
            };
            self.listeners.spawn(listener.run());
        }
    }
}

/// Kills the server at the moment of this round, and starts it again.
async fn kill(herald: &mut Herald, world: &World, round: Round) {
    world.events(round.events).await;
    spin(round.spin);
    herald.kill().await;
    if let Some(early) = round.early {
        // Not to wait for anything: any moment is as good for a kill.
        herald.begin_and_kill(async || sleep(early).await).await;
    }
    herald.begin().await;
}

/// Lets some moments pass, more exactly than a timer would.
fn spin(moments: Duration) {
    let start = Instant::now();
    while start.elapsed() < moments {
        std::thread::yield_now();
    }
}
