//! What happens next.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use super::node::User;

/// Which node, and in which of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) node: usize,
    pub(super) life: u32,
}

/// What happens.
#[derive(Debug)]
pub(super) enum Event {
    /// A message is finished, somewhere.
    Finish,
    /// A node sends what waits, or a sign of life.
    Send(At),
    /// The database hands bundles of a node to all others.
    HandOut {
        from: At,
        bundles: Vec<String>,
    },
    /// A node takes what has come.
    Hear(At),
    /// A look may be due.
    Look(At),
    /// Sessions are told after a look.
    Tell(At),
    /// A node says that it is there, and asks who else is.
    Beat(At),
    /// It sends something, so that others know what they have missed.
    ChannelBeat(At),
    Connect(User),
    Trouble(Trouble),
}

/// What should not happen.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    Kill(usize),
    Start(usize),
    /// The connection on which a node hears others is lost, and there again.
    Deafen(usize),
    Undeafen(usize),
    DatabaseGoes,
    DatabaseReturns,
}

/// By time, and then in the order in which they were added.
#[derive(Default)]
pub(super) struct Events {
    queue: BinaryHeap<Reverse<Due>>,
    added: u64,
}

struct Due {
    at: u64,
    order: u64,
    event: Event,
}

impl Events {
    pub(super) fn add(&mut self, at: u64, event: Event) {
        self.added += 1;
        let order = self.added;
        self.queue.push(Reverse(Due { at, order, event }));
    }

    /// The next, and when it is.
    pub(super) fn next(&mut self) -> Option<(u64, Event)> {
        self.queue.pop().map(|Reverse(due)| (due.at, due.event))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}
