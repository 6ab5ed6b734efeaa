//! What happens when.

use std::ops::Range;

/// How long all of it takes, in seconds.
pub(super) const LENGTH_S: u64 = 270;

/// No messages are finished any more.
pub(super) const QUIET_S: u64 = 235;

/// How many nodes are replaced one after the other.
pub(super) const REPLACED: usize = 8;

/// A part of the time, in seconds.
#[derive(Debug, Clone)]
pub(super) struct Phase {
    pub(super) name: &'static str,
    pub(super) seconds: Range<usize>,
    /// How often each node may look at all inboxes meanwhile.
    pub(super) looks_a_node: u64,
}

impl Phase {
    fn new(name: &'static str, seconds: Range<usize>, looks_a_node: u64) -> Self {
        Self {
            name,
            seconds,
            looks_a_node,
        }
    }
}

/// What happens when, and how often each node may look at its users' inboxes meanwhile. All do every 30 s.
pub(super) fn phases(nodes: u16) -> Vec<Phase> {
    let replaced = REPLACED.min(usize::from(nodes) / 2) as u64;
    vec![
        Phase::new("all nodes start", 0..45, 6),
        Phase::new("nothing else happens", 45..75, 2),
        Phase::new("a node is killed", 75..105, 4),
        Phase::new("it comes back", 105..135, 4),
        Phase::new("a tenth hears nothing for 2 s", 135..165, 3),
        Phase::new("the database is away for 2 s", 165..195, 7),
        Phase::new(
            "nodes are replaced, one every 2 s",
            195..235,
            2 + 4 * replaced,
        ),
        Phase::new("no messages come", 235..LENGTH_S as usize, 3),
    ]
}
