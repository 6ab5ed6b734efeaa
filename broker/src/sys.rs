//! `$SYS/herald/...`: what the broker says of itself; and under `$SYS/broker/...` what others tell by the same names.

use std::{sync::Arc, time::Duration};

use herald_acl::{TopicFilter, TopicName, Username};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    bus::{Message, SessionId, SubscriptionKey},
    mailbox::Mailbox,
    session::Context,
    watchers::Watchers,
};

/// Between two rounds.
const PERIOD: Duration = Duration::from_secs(10);

#[derive(Default)]
struct State {
    watchers: Watchers,
    /// The last round.
    latest: Vec<Arc<Message>>,
}

/// The values, and who watches them.
#[derive(Default)]
pub(crate) struct Sys {
    state: Mutex<State>,
}

impl Sys {
    /// Copies each round's values that `filter` matches to `mailbox` from now on.
    pub(crate) fn watch(
        &self,
        owner: &Username,
        filter: &TopicFilter,
        subscription: (SessionId, SubscriptionKey),
        mailbox: &Arc<Mailbox>,
    ) {
        let mut state = self.state.lock();
        state.watchers.add(owner, filter, subscription, mailbox);
    }

    /// Ends what [`Sys::watch`] began; with `filter` `None`, all of the session's.
    pub(crate) fn unwatch(&self, session: SessionId, filter: Option<&TopicFilter>) {
        self.state.lock().watchers.remove(session, filter);
    }

    /// The values of the last round that `filter` matches.
    pub(crate) fn latest(&self, filter: &TopicFilter) -> Vec<Arc<Message>> {
        let state = self.state.lock();
        let matching = state.latest.iter().filter(|m| filter.matches(&m.topic));
        matching.cloned().collect()
    }

    /// Publishes the values every ten seconds until the broker stops.
    pub(crate) async fn run(ctx: Arc<Context>) {
        let started = Instant::now();
        let mut round = tokio::time::interval(PERIOD);
        while ctx.stop.run_until_cancelled(round.tick()).await.is_some() {
            let herald = values(&ctx, started).into_iter().map(|v| ("herald", v));
            let usual = usual(&ctx, started).into_iter().map(|v| ("broker", v));
            let values: Vec<_> = herald.chain(usual).map(message).collect();
            let mut state = ctx.sys.state.lock();
            for value in &values {
                ctx.metrics
                    .shared_dropped
                    .add(state.watchers.copy(value, None));
            }
            state.latest = values;
        }
    }
}

fn values(ctx: &Context, started: Instant) -> Vec<(&'static str, String)> {
    let m = &ctx.metrics;
    let (sessions, connected) = ctx.registry.count();
    let counters = [
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
    ];
    let mut values: Vec<_> = counters
        .into_iter()
        .map(|(name, n)| (name, n.to_string()))
        .collect();
    values.push(("uptime", started.elapsed().as_secs().to_string()));
    values.push(("version", env!("CARGO_PKG_VERSION").to_owned()));
    values
}

/// What tools for other brokers look for, by mosquitto's names.
fn usual(ctx: &Context, started: Instant) -> Vec<(&'static str, String)> {
    let m = &ctx.metrics;
    let (sessions, connected) = ctx.registry.count();
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
    let uptime = started.elapsed().as_secs();
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
