//! The task that passes messages through a [relay](Relay) and delivers what comes out of it, to those who subscribed here and
//! to the other servers.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::RwLock;
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::{
    neighbourhood::Neighbourhood,
    relay::Relay,
    subscriptions::{Delivered, Share, Subscriptions},
};
use crate::{ids::GroupId, message::Message, metrics::Metrics};

/// How long a session that [is behind](crate::delivery::Outcome::is_behind) is given.
const TURN: Duration = Duration::from_millis(1);

/// A message on its way.
pub(super) struct Passing {
    pub(super) message: Arc<Message>,
    pub(super) source: Source,
}

/// Where a message comes from.
pub(super) enum Source {
    /// Somebody here, who may wait until no crash of this server can lose it to the others.
    Here(Option<oneshot::Sender<()>>),
    /// Another server.
    Neighbour(Box<Chosen>),
}

/// Of which groups another server has chosen members here.
pub(super) struct Chosen {
    pub(super) groups: Vec<GroupId>,
    /// Nobody else is to have the message: they had it before.
    pub(super) only: bool,
}

/// Delivers to those who subscribed here, and to the other servers.
pub(super) struct Passer {
    pub(super) subscriptions: Arc<RwLock<Subscriptions>>,
    pub(super) neighbourhood: Option<Arc<Neighbourhood>>,
    pub(super) metrics: Arc<Metrics>,
}

impl Passer {
    /// Passes messages through `relay`. Ends only when nobody can send messages any more.
    pub(super) async fn run(self, mut relay: impl Relay, mut messages: mpsc::Receiver<Passing>) {
        // The next to be handed over.
        let mut next: Option<Passing> = None;
        // The sources of what was, in that order, but for those that say nothing.
        let mut sources = VecDeque::new();
        loop {
            while let Some(passing) = next.take().or_else(|| messages.try_recv().ok()) {
                let seq = passing.message.seq;
                match relay.hand_over(passing.message) {
                    Ok(()) if matches!(passing.source, Source::Here(None)) => {}
                    Ok(()) => sources.push_back((seq, passing.source)),
                    Err(message) => {
                        next = Some(Passing {
                            message,
                            source: passing.source,
                        });
                        break;
                    }
                }
            }
            tokio::select! {
                message = relay.receive() => {
                    // What a relay has skipped is lost.
                    while sources.front().is_some_and(|(seq, _)| *seq < message.seq) {
                        sources.pop_front();
                    }
                    let source = sources.pop_front_if(|(seq, _)| *seq == message.seq);
                    let source = source.map_or(Source::Here(None), |(_, source)| source);
                    if self.deliver(&message, source) {
                        // That its mailbox does not overflow before it has its turn.
                        sleep(TURN).await;
                    } else {
                        // The relay may never make a task yield.
                        tokio::task::coop::consume_budget().await;
                    }
                }
                message = messages.recv(), if next.is_none() => match message {
                    Some(message) => {
                        next = Some(message);
                        // Others who have something to publish just now do so first: a relay is quicker with many at once.
                        tokio::task::yield_now().await;
                    }
                    None => return,
                },
            }
        }
    }

    /// Returns whether a session is behind.
    fn deliver(&self, message: &Arc<Message>, source: Source) -> bool {
        let neighbours = self.neighbourhood.as_ref();
        let delivered = match source {
            Source::Here(taken) => {
                let delivered = self.subscriptions.read().deliver(message, &Share::Anyone);
                match neighbours {
                    Some(neighbours) => neighbours.publish(message, &delivered.elsewhere, taken),
                    // Nobody waits.
                    None => drop(taken),
                }
                delivered
            }
            Source::Neighbour(chosen) => {
                let share = Share::Here {
                    groups: &chosen.groups,
                    may_go_on: !chosen.only,
                };
                let subscriptions = self.subscriptions.read();
                let delivered = match chosen.only {
                    true => {
                        let mut delivered = Delivered::default();
                        subscriptions.share(message, &share, &mut delivered);
                        delivered
                    }
                    false => subscriptions.deliver(message, &share),
                };
                drop(subscriptions);
                if let Some(neighbours) = neighbours {
                    neighbours.publish_again(message, &delivered.elsewhere);
                }
                delivered
            }
        };
        self.metrics.shared_dropped.add(delivered.outcome.dropped);
        delivered.outcome.is_behind
    }
}
