//! What nodes send and hear of each other, and what they look for in the database.

use herald_store::{NodeFrames, Store};

use super::{
    events::{At, Event},
    node::Number,
    times::{AGAIN, ANSWER, LOOK_ROW, NOTIFICATION_ROW, PAUSE, SECOND, TOLD, USERS},
    world::World,
};

impl World {
    /// Has something sent as soon as may be.
    pub(super) fn will_send(&mut self, at: At) {
        let node = &mut self.nodes[at.node];
        if !std::mem::replace(&mut node.will_send, true) {
            let when = self.now.max(node.sends_at);
            self.events.add(when, Event::Send(at));
        }
    }

    pub(super) fn send(&mut self, at: At) {
        let node = &mut self.nodes[at.node];
        node.will_send = false;
        if node.channel.is_alone() {
            return;
        }
        let bundles = node.channel.bundles();
        if self.database_is_away {
            // They are lost, and their numbers are used.
            node.sends_at = self.now + AGAIN;
            return;
        }
        node.sends_at = self.now + (node.channel.pause().as_micros() as u64).max(ANSWER);
        let has_more = node.channel.has_to_send();
        let count = bundles.len() as u64;
        let second = self.second();
        second.sends += 1;
        second.bundles += count;
        let handed = Event::HandOut { from: at, bundles };
        self.events.add(self.now + ANSWER, handed);
        if has_more {
            self.will_send(at);
        }
    }

    pub(super) fn hand_out(&mut self, from: At, bundles: &[String]) {
        if self.database_is_away {
            return;
        }
        for node in 0..self.nodes.len() {
            let to = &self.nodes[node];
            if node == from.node || !to.is_up || !to.is_listening {
                continue;
            }
            for bundle in bundles {
                to.channel.receive(bundle);
            }
            self.second().handed_out += bundles.len() as u64;
            self.will_hear(self.at(node));
        }
    }

    pub(super) fn will_hear(&mut self, at: At) {
        let node = &mut self.nodes[at.node];
        if !std::mem::replace(&mut node.will_hear, true) {
            let when = self.now.max(node.hears_at);
            self.events.add(when, Event::Hear(at));
        }
    }

    pub(super) fn hear(&mut self, at: At) {
        self.nodes[at.node].will_hear = false;
        if self.now < self.nodes[at.node].hears_at {
            // A look has begun meanwhile.
            return self.will_hear(at);
        }
        let heard = self.nodes[at.node].hear();
        let read = heard.hints.len();
        self.count_hints(at.node, read as u64);
        let is_here = |(user, _): &Number| usize::from(self.home[*user as usize]) == at.node;
        let here: Vec<Number> = heard.hints.into_iter().filter(is_here).collect();
        let mut missed = heard.missed;
        if self.database_is_away {
            missed |= !here.is_empty();
        } else {
            self.bring(at, &here);
        }
        if missed {
            let now = self.instant();
            self.nodes[at.node].looks.miss(now);
            self.will_look(at);
        }
        if read == NodeFrames::TOGETHER {
            self.will_hear(at);
        }
    }

    fn count_hints(&mut self, node: usize, read: u64) {
        let now = (self.now / SECOND) as usize;
        let hints = &mut self.nodes[node].hints;
        if hints.0 != now {
            *hints = (now, 0);
        }
        hints.1 += read;
        let read = hints.1;
        let second = self.second();
        second.hints_a_node = second.hints_a_node.max(read);
    }

    /// Reads these notifications, and notifies the sessions.
    fn bring(&mut self, at: At, here: &[Number]) {
        let mut took = 0;
        for numbers in here.chunks(Store::NUMBERS) {
            took += ANSWER + NOTIFICATION_ROW * numbers.len() as u64;
            self.second().reads += 1;
            for &(user, number) in numbers {
                let is_new = self.nodes[at.node].heard.insert((user, number));
                if !is_new || number > self.newest[user as usize] {
                    self.counts.hints_twice += 1;
                }
                self.advance((user, number), self.now + took, true);
            }
        }
        self.nodes[at.node].hears_at = self.now + took;
    }

    pub(super) fn will_look(&mut self, at: At) {
        let next = self.nodes[at.node].looks.next() - self.start;
        let next = (next.as_micros() as u64).max(self.now);
        self.events.add(next, Event::Look(at));
    }

    pub(super) fn look(&mut self, at: At) {
        let (now, instant) = (self.now, self.instant());
        let node = &mut self.nodes[at.node];
        if node.looks.next() > instant {
            return;
        }
        if now < node.hears_at {
            self.events.add(node.hears_at, Event::Look(at));
            return;
        }
        let is_alone = node.channel.is_alone();
        if node.looks.begin(instant, is_alone) {
            if node.looked_at.is_some_and(|last| now < last + SECOND) {
                self.counts.looks_too_soon += 1;
            }
            node.looked_at = Some(now);
            if self.database_is_away {
                node.hears_at = now + ANSWER;
                node.looks.miss(instant);
            } else {
                self.look_at_all(at);
            }
        }
        self.will_look(at);
    }

    fn look_at_all(&mut self, at: At) {
        let node = &mut self.nodes[at.node];
        let home = &self.home;
        node.online
            .retain(|user| usize::from(home[*user as usize]) == at.node);
        let newest = node.online.iter();
        let newest = newest.map(|user| (*user, self.newest[*user as usize]));
        let changed = newest.filter(|(user, number)| node.known.get(user) != Some(number));
        node.behind = changed.collect();
        let rows = node.online.len();
        let statements = rows.div_ceil(USERS) as u64;
        node.hears_at = self.now + statements * ANSWER + rows as u64 * LOOK_ROW;
        let (when, is_new) = (node.hears_at, !std::mem::replace(&mut node.will_tell, true));
        if is_new {
            self.events.add(when, Event::Tell(at));
        }
        let second = self.second();
        second.looks += 1;
        second.look_statements += statements;
        second.rows += rows as u64;
    }

    pub(super) fn tell(&mut self, at: At) {
        let node = &mut self.nodes[at.node];
        let next = node.behind.len().min(TOLD);
        let told: Vec<Number> = node.behind.drain(..next).collect();
        node.known.extend(told.iter().copied());
        node.will_tell = !node.behind.is_empty();
        if node.will_tell {
            self.events.add(self.now + PAUSE, Event::Tell(at));
        }
        self.second().told += next as u64;
        for number in told {
            if usize::from(self.home[number.0 as usize]) == at.node {
                self.advance(number, self.now, true);
            }
        }
    }
}
