//! Users, nodes, and a database that they share.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use herald_store::NodeId;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{
    counts::{Counts, Second},
    events::{At, Event, Events, Trouble},
    node::{Node, Number, User},
    options::Options,
    plan::{LENGTH_S, QUIET_S, REPLACED},
    times::{AGAIN, BEAT, COME_BACK, LEASE, MILLISECOND, SECOND},
};

/// Without a home.
const NOWHERE: u16 = u16::MAX;

pub(super) struct World {
    rate: u32,
    pub(super) now: u64,
    /// What `now` counts from.
    pub(super) start: Instant,
    chance: StdRng,
    pub(super) events: Events,
    pub(super) nodes: Vec<Node>,
    pub(super) database_is_away: bool,
    /// By user: the node of the connection, the newest number, and that which the session was told.
    pub(super) home: Vec<u16>,
    pub(super) newest: Vec<u32>,
    told: Vec<u32>,
    /// What sessions were not told yet, and since when it is there.
    untold: HashMap<User, VecDeque<(u32, u64)>>,
    pub(super) counts: Counts,
}

impl World {
    pub(super) fn new(options: &Options) -> Self {
        let (users, nodes) = (options.users as usize, usize::from(options.nodes));
        let start = Instant::now();
        let mut world = Self {
            rate: options.rate,
            now: 0,
            start,
            chance: StdRng::seed_from_u64(options.seed),
            events: Events::default(),
            nodes: (0..nodes)
                .map(|place| Node::start(start, place, 0))
                .collect(),
            database_is_away: false,
            home: vec![NOWHERE; users],
            newest: vec![0; users],
            told: vec![0; users],
            untold: HashMap::new(),
            counts: Counts::new(options.nodes),
        };
        for user in 0..options.users {
            world.settle(user, user as usize % nodes);
        }
        for node in 0..nodes {
            world.begin(node);
        }
        world.events.add(0, Event::Finish);
        world.plan(nodes);
        world
    }

    fn plan(&mut self, nodes: usize) {
        let mut at = |second: u64, trouble| {
            self.events.add(second * SECOND, Event::Trouble(trouble));
        };
        at(75, Trouble::Kill(0));
        at(105, Trouble::Start(0));
        for node in (0..nodes).step_by(10) {
            at(135, Trouble::Deafen(node));
            at(137, Trouble::Undeafen(node));
        }
        at(165, Trouble::DatabaseGoes);
        at(167, Trouble::DatabaseReturns);
        for number in 0..REPLACED.min(nodes / 2) {
            at(195 + 2 * number as u64, Trouble::Kill(number));
            at(201 + 2 * number as u64, Trouble::Start(number));
        }
    }

    pub(super) fn run(&mut self) {
        while let Some((at, event)) = self.events.next() {
            if at >= LENGTH_S * SECOND {
                break;
            }
            self.now = at;
            self.happen(event);
        }
        let connected = self.untold.keys();
        let behind = connected.filter(|user| self.home[**user as usize] != NOWHERE);
        self.counts.left_behind = behind.count() as u64;
    }

    pub(super) fn into_counts(self) -> Counts {
        self.counts
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Finish => self.finish(),
            Event::Connect(user) => self.connect(user),
            Event::Trouble(trouble) => self.suffer(trouble),
            Event::HandOut { from, bundles } => self.hand_out(from, &bundles),
            Event::Send(at) if self.lives(at) => self.send(at),
            Event::Hear(at) if self.lives(at) => self.hear(at),
            Event::Look(at) if self.lives(at) => self.look(at),
            Event::Tell(at) if self.lives(at) => self.tell(at),
            Event::Beat(at) if self.lives(at) => self.beat(at),
            Event::ChannelBeat(at) if self.lives(at) => {
                self.second().beats += 1;
                self.will_send(at);
                self.events.add(self.now + BEAT, Event::ChannelBeat(at));
            }
            Event::Send(_)
            | Event::Hear(_)
            | Event::Look(_)
            | Event::Tell(_)
            | Event::Beat(_)
            | Event::ChannelBeat(_) => {}
        }
    }

    pub(super) fn lives(&self, at: At) -> bool {
        let node = &self.nodes[at.node];
        node.is_up && node.life == at.life
    }

    pub(super) fn at(&self, node: usize) -> At {
        let life = self.nodes[node].life;
        At { node, life }
    }

    pub(super) fn second(&mut self) -> &mut Second {
        &mut self.counts.seconds[(self.now / SECOND) as usize]
    }

    pub(super) fn instant(&self) -> Instant {
        self.start + Duration::from_micros(self.now)
    }

    /// One that is up, by chance.
    fn any_node(&mut self) -> usize {
        loop {
            let node = self.chance.random_range(0..self.nodes.len());
            if self.nodes[node].is_up {
                return node;
            }
        }
    }

    /// A node has started.
    fn begin(&mut self, node: usize) {
        let at = self.at(node);
        let soon = |chance: &mut StdRng| chance.random_range(0..BEAT);
        self.nodes[node].lease_until = self.now + LEASE;
        self.events
            .add(self.now + soon(&mut self.chance), Event::Beat(at));
        let beat = Event::ChannelBeat(at);
        self.events.add(self.now + soon(&mut self.chance), beat);
        self.will_look(at);
    }

    fn finish(&mut self) {
        if self.now >= QUIET_S * SECOND {
            return;
        }
        let pause = u64::from(self.chance.random_range(0..=2 * SECOND as u32 / self.rate));
        self.events.add(self.now + pause, Event::Finish);
        if self.database_is_away {
            return;
        }
        self.second().finished += 1;
        let user = self.chance.random_range(0..self.newest.len() as u32);
        let node = self.any_node();
        let number = self.newest[user as usize] + 1;
        self.newest[user as usize] = number;
        let home = self.home[user as usize];
        if home != NOWHERE {
            let untold = self.untold.entry(user).or_default();
            untold.push_back((number, self.now));
        }
        if usize::from(home) == node {
            self.advance((user, number), self.now, false);
        }
        self.nodes[node].tell((user, number));
        self.will_send(self.at(node));
    }

    /// The session of this user knows of its inbox up to this number.
    pub(super) fn advance(&mut self, (user, number): Number, at: u64, is_late: bool) {
        let told = &mut self.told[user as usize];
        *told = number.max(*told);
        let Some(untold) = self.untold.get_mut(&user) else {
            return;
        };
        while let Some(&(first, since)) = untold.front()
            && first <= number
        {
            untold.pop_front();
            if is_late {
                let late = at.saturating_sub(since);
                self.counts.late_ms.push(late as f64 / MILLISECOND as f64);
            }
        }
        if untold.is_empty() {
            self.untold.remove(&user);
        }
    }

    /// A user connects: the session reads the inbox.
    fn connect(&mut self, user: User) {
        let node = self.any_node();
        self.settle(user, node);
    }

    fn settle(&mut self, user: User, node: usize) {
        self.home[user as usize] = node as u16;
        self.told[user as usize] = self.newest[user as usize];
        self.untold.remove(&user);
        self.nodes[node].online.push(user);
    }

    fn beat(&mut self, at: At) {
        if self.database_is_away {
            self.events.add(self.now + AGAIN, Event::Beat(at));
            return;
        }
        self.second().beats += 1;
        let now = self.now;
        self.nodes[at.node].lease_until = now + LEASE;
        let standing = self.nodes.iter().filter(|node| node.lease_until > now);
        let standing: Vec<NodeId> = standing.map(|node| node.channel.own().clone()).collect();
        self.nodes[at.node].channel.know(standing);
        if self.nodes[at.node].channel.has_to_send() {
            self.will_send(at);
        }
        self.will_hear(at);
        self.events.add(now + BEAT, Event::Beat(at));
    }

    fn suffer(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Kill(node) => self.kill(node),
            Trouble::Start(node) => {
                let life = self.nodes[node].life + 1;
                self.nodes[node] = Node::start(self.instant(), node, life);
                self.begin(node);
            }
            Trouble::Deafen(node) => self.nodes[node].is_listening = false,
            Trouble::Undeafen(node) => self.hears_again(node),
            Trouble::DatabaseGoes => self.database_is_away = true,
            Trouble::DatabaseReturns => {
                self.database_is_away = false;
                for node in 0..self.nodes.len() {
                    self.hears_again(node);
                }
            }
        }
    }

    fn hears_again(&mut self, node: usize) {
        self.nodes[node].is_listening = true;
        self.nodes[node].channel.miss();
        self.will_hear(self.at(node));
    }

    fn kill(&mut self, node: usize) {
        self.nodes[node].is_up = false;
        for user in std::mem::take(&mut self.nodes[node].online) {
            if usize::from(self.home[user as usize]) == node {
                self.home[user as usize] = NOWHERE;
                self.untold.remove(&user);
                let comes = self.now + self.chance.random_range(0..COME_BACK);
                self.events.add(comes, Event::Connect(user));
            }
        }
    }
}
