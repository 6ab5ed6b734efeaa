//! `$SYS/herald/...`: what the broker says of itself; and under `$SYS/broker/...` the values that other brokers publish, by their names.

use std::{sync::Arc, time::Duration};

use herald_acl::{TopicFilter, TopicName, Username};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    delivery::Subscriber,
    ids::{SessionId, SubscriptionKey},
    message::Message,
    metrics::Metrics,
    observers::Observers,
};

/// Between two rounds.
const PERIOD: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Values {
    observers: Observers,
    /// The last round.
    latest: Vec<Arc<Message>>,
    /// The same of all servers together, if there can be others.
    totals: Vec<Arc<Message>>,
}

/// The values, and who observes them.
#[derive(Default)]
pub(crate) struct Sys {
    state: Mutex<Values>,
}

impl Sys {
    /// Copies each round's values that `filter` matches to `subscriber` from now on.
    pub(crate) fn observe(
        &self,
        owner: &Username,
        filter: &TopicFilter,
        subscription: (SessionId, SubscriptionKey),
        subscriber: Arc<dyn Subscriber>,
    ) {
        let mut state = self.state.lock();
        state.observers.add(owner, filter, subscription, subscriber);
    }

    /// Ends what [`Sys::observe`] began; with `filter` `None`, all of the session's.
    pub(crate) fn unobserve(&self, session: SessionId, filter: Option<&TopicFilter>) {
        self.state.lock().observers.remove(session, filter);
    }

    /// The values of the last round that `filter` matches.
    pub(crate) fn latest(&self, filter: &TopicFilter) -> Vec<Arc<Message>> {
        let state = self.state.lock();
        let all = state.latest.iter().chain(&state.totals);
        all.filter(|m| filter.matches(&m.topic)).cloned().collect()
    }

    /// Publishes what all servers count together, under `$SYS/herald/cluster/`.
    pub(crate) fn publish_totals(&self, totals: Vec<(&'static str, u64)>, metrics: &Metrics) {
        let totals = totals.into_iter().map(|(name, n)| (name, n.to_string()));
        let totals: Vec<_> = totals.map(|v| message(("herald/cluster", v))).collect();
        let mut state = self.state.lock();
        state.copy(&totals, metrics);
        state.totals = totals;
    }

    /// Publishes the values every ten seconds, for ever. `count` returns how many sessions there are, and how many of them
    /// have a connection.
    pub(crate) async fn run(&self, metrics: &Metrics, count: impl Fn() -> (usize, usize)) {
        let started = Instant::now();
        let mut round = tokio::time::interval(PERIOD);
        loop {
            round.tick().await;
            let (sessions, uptime) = (count(), started.elapsed().as_secs());
            let herald = values(metrics, sessions, uptime).into_iter();
            let usual = usual(metrics, sessions, uptime).into_iter();
            let all = herald
                .map(|v| ("herald", v))
                .chain(usual.map(|v| ("broker", v)));
            let values: Vec<_> = all.map(message).collect();
            let mut state = self.state.lock();
            state.copy(&values, metrics);
            state.latest = values;
        }
    }
}

impl Values {
    fn copy(&mut self, values: &[Arc<Message>], metrics: &Metrics) {
        for value in values {
            let dropped = self.observers.copy(value, None);
            metrics.shared_dropped.add(dropped);
        }
    }
}

/// What is counted, with how many sessions there are, and how many of them have a connection.
pub(crate) fn counters(
    m: &Metrics,
    (sessions, connected): (usize, usize),
) -> Vec<(&'static str, u64)> {
    vec![
        ("clients/connected", connected as u64),
        ("clients/disconnected", (sessions - connected) as u64),
        ("connects/accepted", m.connects.get()),
        ("connects/refused", m.connects_refused.get()),
        ("publishes/received", m.publishes_received.get()),
        ("publishes/sent", m.publishes_sent.get()),
        ("publishes/denied", m.publishes_denied.get()),
        ("subscribes/denied", m.subscribes_denied.get()),
        ("notifications/sent", m.notifications_sent.get()),
        ("shared/dropped", m.shared_dropped.get()),
        ("router/restarts", m.router_restarts.get()),
    ]
}

fn values(m: &Metrics, sessions: (usize, usize), uptime: u64) -> Vec<(&'static str, String)> {
    let mut values: Vec<_> = counters(m, sessions)
        .into_iter()
        .map(|(name, n)| (name, n.to_string()))
        .collect();
    values.push(("uptime", uptime.to_string()));
    values.push(("version", env!("CARGO_PKG_VERSION").to_owned()));
    values
}

/// What tools for other brokers look for, by mosquitto's names.
fn usual(
    m: &Metrics,
    (sessions, connected): (usize, usize),
    uptime: u64,
) -> Vec<(&'static str, String)> {
    let (received, sent) = (m.publishes_received.get(), m.publishes_sent.get());
    let counters = [
        ("clients/connected", connected as u64),
        ("clients/disconnected", (sessions - connected) as u64),
        ("clients/total", sessions as u64),
        ("messages/received", received),
        ("messages/sent", sent),
        ("publish/messages/received", received),
        ("publish/messages/sent", sent),
        ("publish/messages/dropped", m.shared_dropped.get()),
    ];
    let mut values = counters.map(|(name, n)| (name, n.to_string())).to_vec();
    values.push(("uptime", format!("{uptime} seconds")));
    values.push((
        "version",
        concat!("herald ", env!("CARGO_PKG_VERSION")).to_owned(),
    ));
    values
}

fn message((tree, (name, value)): (&str, (&'static str, String))) -> Arc<Message> {
    let topic = TopicName::parse(format!("$SYS/{tree}/{name}")).expect("the names are levels");
    Arc::new(Message::of_ours(topic, value.into()))
}
