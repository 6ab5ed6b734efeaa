//! Keeps a router running, and hands messages to it.
//!
//! One task owns the router and all links to it. When the router's thread dies, the links say so at once; when it hangs,
//! it leaves a PINGREQ unanswered, one of which is sent each second and with each 128 messages. Either way the router is
//! given up with all that is inside, and the next one gets the same links before anything is published to it. A probe
//! through the links of the slots would find no more: it is the same thread that serves them.

use std::{sync::Arc, time::Duration};

use parking_lot::RwLock;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    Message, frame,
    router::{Publisher, Receiver, Router, RouterGone},
    subscribers::Subscribers,
};
use crate::metrics::Metrics;

/// How often a router that has nothing to do is asked whether it lives.
const PROBE: Duration = Duration::from_secs(1);

/// The task's state.
pub(super) struct Supervisor {
    messages: mpsc::Receiver<Arc<Message>>,
    /// Being handed over: tried again if that fails.
    pending: Option<Arc<Message>>,
    links: Links,
    /// The router that runs.
    current: watch::Sender<Option<Router>>,
}

/// What links are made of.
#[derive(Clone)]
pub(super) struct Links {
    pub(super) subscribers: Arc<RwLock<Subscribers>>,
    pub(super) metrics: Arc<Metrics>,
}

/// A router and all links to it.
struct Running {
    router: Router,
    publisher: Publisher,
    links: Links,
    /// Whether a slot has a link.
    linked: Vec<bool>,
    /// A task for each link, which ends when the router does.
    dispatchers: JoinSet<RouterGone>,
}

impl Supervisor {
    /// Starts the first router. What is answered tells which one runs, `None` for none.
    pub(super) async fn start(
        messages: mpsc::Receiver<Arc<Message>>,
        links: Links,
    ) -> Result<(impl Future<Output = ()>, watch::Receiver<Option<Router>>), RouterGone> {
        let running = Running::start(&links).await?;
        let (current, watching) = watch::channel(Some(running.router.clone()));
        let supervisor = Self {
            messages,
            pending: None,
            links,
            current,
        };
        Ok((supervisor.run(running), watching))
    }

    /// Ends only when nobody can send messages any more.
    async fn run(mut self, mut running: Running) {
        let mut backoff = Backoff::default();
        loop {
            let started = Instant::now();
            if self.serve(&mut running).await.is_ok() {
                return;
            }
            self.current.send_replace(None);
            tracing::error!("the router of shared topics is gone; starting another");
            running.give_up();
            backoff.ran_for(started.elapsed());
            running = self.restart(&mut backoff).await;
            self.links.metrics.router_restarts.add(1);
            self.current.send_replace(Some(running.router.clone()));
        }
    }

    async fn restart(&self, backoff: &mut Backoff) -> Running {
        loop {
            sleep(backoff.next()).await;
            match Running::start(&self.links).await {
                Ok(running) => return running,
                Err(e) => tracing::error!(error = %e, "the router does not start; trying again"),
            }
        }
    }

    /// Hands accepted messages to the router, in order. Fails when it is gone.
    async fn serve(&mut self, running: &mut Running) -> Result<(), RouterGone> {
        let mut probe = interval(PROBE);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while running.publisher.has_room() {
                if self.pending.is_none() {
                    self.pending = self.messages.try_recv().ok();
                }
                let Some(message) = &self.pending else { break };
                running.publish(message).await?;
                self.pending = None;
            }
            let has_room = running.publisher.has_room();
            tokio::select! {
                answer = running.publisher.answer() => answer?,
                Some(_) = running.dispatchers.join_next() => return Err(RouterGone),
                _ = probe.tick() => running.publisher.probe().await?,
                message = self.messages.recv(), if has_room => match message {
                    Some(message) => self.pending = Some(message),
                    None => return Ok(()),
                },
            }
        }
    }
}

impl Running {
    /// Starts a router with a link for each slot in use.
    async fn start(links: &Links) -> Result<Self, RouterGone> {
        let router = Router::start()?;
        let mut running = Self {
            publisher: router.publisher().await?,
            router,
            links: links.clone(),
            linked: vec![],
            dispatchers: JoinSet::new(),
        };
        let slots = links.subscribers.read().used_slots();
        for slot in slots {
            running.link(slot).await?;
        }
        Ok(running)
    }

    /// Publishes to all slots that have a use for `message`.
    async fn publish(&mut self, message: &Message) -> Result<(), RouterGone> {
        let slots = self.links.subscribers.read().slots_for(&message.topic);
        if slots.is_empty() || message.expired() {
            return Ok(());
        }
        let frame = frame::encode(message);
        for slot in slots {
            self.link(slot).await?;
            self.publisher.publish(slot, frame.clone()).await?;
        }
        Ok(())
    }

    /// Makes sure that what is published to `slot` is received.
    async fn link(&mut self, slot: usize) -> Result<(), RouterGone> {
        if self.linked.get(slot) == Some(&true) {
            return Ok(());
        }
        let receiver = self.router.receiver(slot).await?;
        let links = self.links.clone();
        self.dispatchers.spawn(dispatch(receiver, slot, links));
        if self.linked.len() <= slot {
            self.linked.resize(slot + 1, false);
        }
        self.linked[slot] = true;
        Ok(())
    }

    /// Drops all that holds the router, and makes its thread end if it still runs.
    fn give_up(self) {
        self.publisher.end_router();
    }
}

/// Hands what the router forwards to the subscribers.
async fn dispatch(mut receiver: Receiver, slot: usize, links: Links) -> RouterGone {
    loop {
        let received = match receiver.next().await {
            Ok(received) => received,
            Err(gone) => return gone,
        };
        if received.lost > 0 {
            links.metrics.shared_dropped.add(received.lost);
            tracing::warn!(
                lost = received.lost,
                "shared messages lost: routing lagged behind"
            );
        }
        let dropped = {
            let subscribers = links.subscribers.read();
            subscribers.deliver(slot, &received.message)
        };
        links.metrics.shared_dropped.add(dropped);
        // The router's channels never make a task yield.
        tokio::task::coop::consume_budget().await;
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
