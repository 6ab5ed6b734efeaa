//! What all servers count together. Each tells the others what it counts, and adds up what it hears.

use std::{collections::HashMap, sync::Arc, time::Duration};

use herald_broker::Broker;
use herald_store::NodeId;
use parking_lot::Mutex;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

use super::message::TellNodes;

/// How often they are told and added up.
const EVERY: Duration = Duration::from_secs(10);

/// How long what a server has told counts: it may be lost once.
const COUNTS_FOR: Duration = Duration::from_secs(25);

/// What the others have told last.
#[derive(Debug, Clone, Default)]
pub(crate) struct CountersOfOthers(Arc<Mutex<Told>>);

type Told = HashMap<NodeId, (Instant, HashMap<String, u64>)>;

impl CountersOfOthers {
    pub(super) fn heard(&self, from: NodeId, counters: HashMap<String, u64>) {
        self.0.lock().insert(from, (Instant::now(), counters));
    }

    /// Tells the others, and adds up, until stopped.
    pub(crate) async fn add_up(self, broker: Broker, tell: TellNodes, stop: CancellationToken) {
        let adding = async {
            // The others are not heard at once.
            let mut round = interval_at(Instant::now() + EVERY, EVERY);
            loop {
                round.tick().await;
                let own = broker.counters();
                tell.counters(&own);
                broker.publish_totals(self.totals(own));
            }
        };
        stop.run_until_cancelled(adding).await;
    }

    /// How many servers there are, and the sum of each of `own` and what the others have told of late.
    fn totals(&self, own: Vec<(&'static str, u64)>) -> Vec<(&'static str, u64)> {
        let mut told = self.0.lock();
        told.retain(|_, (at, _)| at.elapsed() < COUNTS_FOR);
        let nodes = ("nodes", 1 + told.len() as u64);
        let sums = own.into_iter().map(|(name, own)| {
            let others = told.values().filter_map(|(_, counters)| counters.get(name));
            (name, others.fold(own, |sum, n| sum.saturating_add(*n)))
        });
        [nodes].into_iter().chain(sums).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_the_others_told_of_late_is_added_up() {
        let others = CountersOfOthers::default();
        let told = |n: u64| HashMap::from([("connects".to_owned(), n), ("new".to_owned(), 9)]);
        let (first, second) = (NodeId::from_string("1"), NodeId::from_string("2"));
        others.heard(first.clone(), told(1));
        others.heard(second, told(u64::MAX));
        let own = || vec![("connects", 4), ("denied", 2)];
        let sums = |nodes, connects| vec![("nodes", nodes), ("connects", connects), ("denied", 2)];
        assert_eq!(others.totals(own()), sums(3, u64::MAX));
        advance(COUNTS_FOR / 2).await;
        others.heard(first, told(3));
        assert_eq!(others.totals(own()), sums(3, u64::MAX));
        advance(COUNTS_FOR / 2).await;
        assert_eq!(others.totals(own()), sums(2, 7));
        advance(COUNTS_FOR).await;
        assert_eq!(others.totals(own()), sums(1, 4));
    }
}
