//! What has come and waits to be read.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::bundle::{Bundle, WAITING, WAITING_BYTES};
use crate::NodeId;

/// How many nodes are followed at most.
const NODES: usize = 256;

/// What comes from the other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A frame. Those of a node come in order.
    Frame {
        /// Who sent it.
        from: NodeId,
        /// What was sent.
        frame: String,
    },
    /// Frames may be missing, up to now: whoever reads has to look for all that they would have said.
    Missed,
}

/// Frames that wait to be read, and how far each node has come.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    state: Mutex<State>,
    came: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<(NodeId, String)>,
    bytes: usize,
    missed: bool,
    nodes: HashMap<NodeId, Progress>,
}

#[derive(Debug)]
struct Progress {
    /// The number of the last bundle.
    number: i64,
    /// Since the other nodes were last counted.
    is_heard: bool,
}

impl Incoming {
    /// Takes what has come. A bundle that is late was missed before.
    pub(super) fn take(&self, bundle: Bundle) {
        let mut state = self.state();
        let has_room = state.nodes.len() < NODES;
        let is_next = match state.nodes.get_mut(&bundle.node) {
            Some(progress) => {
                progress.is_heard = true;
                if bundle.number <= progress.number {
                    return;
                }
                let is_next = bundle.number - 1 == progress.number;
                progress.number = bundle.number;
                is_next
            }
            None if has_room => {
                let progress = Progress {
                    number: bundle.number,
                    is_heard: true,
                };
                state.nodes.insert(bundle.node.clone(), progress);
                false
            }
            None => false,
        };
        state.missed |= !is_next;
        for frame in bundle.frames {
            state.add(&bundle.node, frame);
        }
        drop(state);
        self.came.notify_one();
    }

    /// Notes that something may be missing.
    pub(super) fn miss(&self) {
        self.state().missed = true;
        self.came.notify_one();
    }

    /// Forgets all nodes but `others` and those that were heard of lately.
    pub(super) fn retain(&self, others: &[NodeId]) {
        let mut state = self.state();
        state.nodes.retain(|node, progress| {
            std::mem::take(&mut progress.is_heard) || others.contains(node)
        });
    }

    /// Waits for what comes next.
    pub(super) async fn next(&self) -> Received {
        loop {
            if let Some(next) = self.state().next() {
                return next;
            }
            // One that came meanwhile has left a permit.
            self.came.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, node: &NodeId, frame: String) {
        if self.frames.len() >= WAITING || self.bytes + frame.len() > WAITING_BYTES {
            // Whoever looks for all finds what these would have said.
            self.frames.clear();
            self.bytes = 0;
            self.missed = true;
        }
        self.bytes += frame.len();
        self.frames.push_back((node.clone(), frame));
    }

    fn next(&mut self) -> Option<Received> {
        if std::mem::take(&mut self.missed) {
            return Some(Received::Missed);
        }
        let (from, frame) = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some(Received::Frame { from, frame })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn bundle(node: &NodeId, number: i64, frames: &[&str]) -> Bundle {
        Bundle {
            node: node.clone(),
            number,
            frames: frames.iter().map(|&frame| frame.to_owned()).collect(),
        }
    }

    fn frame(from: &NodeId, frame: &str) -> Received {
        let (from, frame) = (from.clone(), frame.to_owned());
        Received::Frame { from, frame }
    }

    /// All that waits.
    fn all(incoming: &Incoming) -> Vec<Received> {
        std::iter::from_fn(|| incoming.next().now_or_never()).collect()
    }

    #[test]
    fn frames_come_in_order_and_a_gap_is_told() {
        let (incoming, ann, bob) = (Incoming::default(), NodeId::new(), NodeId::new());
        incoming.take(bundle(&ann, 7, &["one", "two"]));
        // What was before is not known.
        let first = [Received::Missed, frame(&ann, "one"), frame(&ann, "two")];
        assert_eq!(all(&incoming), first);
        incoming.take(bundle(&ann, 8, &["three"]));
        incoming.take(bundle(&ann, 9, &[]));
        incoming.take(bundle(&ann, 10, &["four"]));
        assert_eq!(all(&incoming), [frame(&ann, "three"), frame(&ann, "four")]);
        incoming.take(bundle(&ann, 12, &["six"]));
        assert_eq!(all(&incoming), [Received::Missed, frame(&ann, "six")]);
        // Late, and twice.
        incoming.take(bundle(&ann, 11, &["five"]));
        incoming.take(bundle(&ann, 12, &["six"]));
        assert_eq!(all(&incoming), []);
        incoming.take(bundle(&bob, 1, &[]));
        assert_eq!(all(&incoming), [Received::Missed]);
        incoming.take(bundle(&bob, 2, &["his"]));
        incoming.take(bundle(&ann, 13, &["hers"]));
        assert_eq!(all(&incoming), [frame(&bob, "his"), frame(&ann, "hers")]);
    }

    #[test]
    fn a_flood_is_bounded_and_told() {
        let (incoming, node) = (Incoming::default(), NodeId::new());
        incoming.take(bundle(&node, 1, &[]));
        assert_eq!(all(&incoming), [Received::Missed]);
        let large = "x".repeat(7000);
        for number in 2..5000 {
            incoming.take(bundle(&node, number, &[&large, "", "", "", "", "", "last"]));
            let state = incoming.state();
            assert!(state.bytes <= WAITING_BYTES && state.frames.len() <= WAITING);
        }
        let all = all(&incoming);
        assert_eq!(all[0], Received::Missed);
        assert_eq!(all.last(), Some(&frame(&node, "last")));
        assert!(!all[1..].contains(&Received::Missed));
    }

    #[test]
    fn many_nodes_are_bounded_and_those_that_are_gone_are_forgotten() {
        let incoming = Incoming::default();
        let nodes: Vec<_> = (0..NODES + 9).map(|_| NodeId::new()).collect();
        for node in &nodes {
            incoming.take(bundle(node, 1, &[]));
        }
        assert_eq!(incoming.state().nodes.len(), NODES);
        incoming.retain(&[]);
        assert_eq!(incoming.state().nodes.len(), NODES, "heard since");
        incoming.retain(&nodes[..2]);
        assert_eq!(incoming.state().nodes.len(), 2);
        incoming.take(bundle(&nodes[1], 2, &["still known"]));
        assert_eq!(
            all(&incoming),
            [Received::Missed, frame(&nodes[1], "still known")]
        );
    }
}
