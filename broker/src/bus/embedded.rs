//! The relay within one process: `rumqttd`, which moves numbers, and the table of what they stand for.
//!
//! When the router's thread dies, its link says so at once; when it hangs, it leaves a PINGREQ unanswered. Either way it is
//! replaced, and the next one is handed all that the table has: what has not come back. So nothing is lost, nothing comes
//! twice, and nothing stays in the table.

mod router;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep},
};

use super::relay::Relay;
use crate::{message::Message, metrics::Metrics};
pub(super) use router::Router;
use router::{Link, RouterGone};

/// Messages under way at once: as many as there are numbers.
const TABLE: usize = 256;

/// How often a router from which nothing comes is asked whether it lives.
const PROBE: Duration = Duration::from_secs(1);

/// The table, and the router that runs.
pub(super) struct Embedded {
    /// What was handed over and has not come back, in that order.
    table: VecDeque<Arc<Message>>,
    /// The number of the first of them; the others follow, and 0 follows 255.
    first: u8,
    state: RouterState,
    probe: Interval,
    /// The router that runs, for others to know of.
    current: watch::Sender<Option<Router>>,
    metrics: Arc<Metrics>,
}

enum RouterState {
    Running {
        link: Box<Link>,
        since: Instant,
        backoff: Backoff,
    },
    /// Kept from one call to the next, which may be dropped.
    Starting(BoxFuture<'static, (Link, Backoff)>),
}

impl Embedded {
    /// Starts the first router. The receiver tells which one runs, `None` for none.
    pub(super) async fn start(
        metrics: Arc<Metrics>,
    ) -> Result<(Self, watch::Receiver<Option<Router>>), RouterGone> {
        let link = Link::open().await?;
        let (current, watching) = watch::channel(Some(link.router().clone()));
        let mut probe = interval(PROBE);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let relay = Self {
            table: VecDeque::with_capacity(TABLE),
            first: 0,
            state: RouterState::running(link, Backoff::default()),
            probe,
            current,
            metrics,
        };
        Ok((relay, watching))
    }

    /// Abandons the router with everything in it, and begins to start another.
    fn replace(&mut self) {
        let RouterState::Running {
            link,
            since,
            mut backoff,
        } = std::mem::replace(&mut self.state, RouterState::nowhere())
        else {
            return;
        };
        self.current.send_replace(None);
        tracing::error!("the router of shared topics is gone; starting another");
        link.end_router();
        backoff.ran_for(since.elapsed());
        self.state = RouterState::Starting(start(backoff).boxed());
    }

    /// The next router runs: it gets what the last one had.
    fn resume(&mut self, link: Link, backoff: Backoff) {
        self.metrics.router_restarts.add(1);
        self.current.send_replace(Some(link.router().clone()));
        self.state = RouterState::running(link, backoff);
        for at in 0..self.table.len() {
            self.send(self.number(at));
        }
    }

    fn send(&mut self, number: u8) {
        // While none runs, the next one gets it.
        if let RouterState::Running { link, .. } = &mut self.state {
            link.send(number);
        }
    }

    /// The number of the message that is `at` this place in the table.
    fn number(&self, at: usize) -> u8 {
        self.first.wrapping_add(at as u8)
    }

    /// The message that came back as `number`; `None` if there is no such message.
    fn take(&mut self, number: u8) -> Option<Arc<Message>> {
        let skipped = usize::from(number.wrapping_sub(self.first));
        if skipped >= self.table.len() {
            tracing::error!("the router returned what it was not given");
            return None;
        }
        if skipped > 0 {
            self.metrics.shared_dropped.add(skipped as u64);
            tracing::warn!(
                lost = skipped,
                "shared messages lost: the router skipped them"
            );
        }
        self.table.drain(..skipped);
        self.first = number.wrapping_add(1);
        self.table.pop_front()
    }
}

impl Relay for Embedded {
    fn hand_over(&mut self, message: Arc<Message>) -> Result<(), Arc<Message>> {
        if self.table.len() >= TABLE {
            return Err(message);
        }
        let number = self.number(self.table.len());
        self.table.push_back(message);
        self.send(number);
        Ok(())
    }

    async fn receive(&mut self) -> Arc<Message> {
        loop {
            let received = match &mut self.state {
                RouterState::Starting(start) => {
                    let (link, backoff) = start.await;
                    self.resume(link, backoff);
                    continue;
                }
                RouterState::Running { link, .. } => tokio::select! {
                    biased;
                    number = link.receive() => number.map(Some),
                    _ = self.probe.tick() => link.probe().await.map(|()| None),
                },
            };
            match received {
                Ok(Some(number)) => {
                    if let Some(message) = self.take(number) {
                        return message;
                    }
                }
                Ok(None) => {}
                Err(RouterGone) => self.replace(),
            }
        }
    }
}

impl RouterState {
    fn running(link: Link, backoff: Backoff) -> Self {
        Self::Running {
            link: Box::new(link),
            since: Instant::now(),
            backoff,
        }
    }

    /// Stands in while there is no other.
    fn nowhere() -> Self {
        Self::Starting(std::future::pending().boxed())
    }
}

async fn start(mut backoff: Backoff) -> (Link, Backoff) {
    loop {
        sleep(backoff.next()).await;
        match Link::open().await {
            Ok(link) => return (link, backoff),
            Err(e) => tracing::error!(error = %e, "the router does not start; trying again"),
        }
    }
}

/// How long to wait before the next start: not at all at first, then 50 ms and twice as long each time, up to 5 s.
#[derive(Default)]
struct Backoff(Duration);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(5);
    /// What runs for this long has earned a start without a wait.
    const LASTING: Duration = Duration::from_secs(10);

    fn ran_for(&mut self, time: Duration) {
        if time >= Self::LASTING {
            self.0 = Duration::ZERO;
        }
    }

    fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).clamp(Self::FIRST, Self::LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_that_fail_are_ever_further_apart_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..10).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(waits, [0, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.ran_for(Duration::from_secs(9));
        assert_eq!(backoff.next(), Backoff::LONGEST);
        backoff.ran_for(Duration::from_secs(10));
        assert_eq!(backoff.next(), Duration::ZERO);
    }
}
