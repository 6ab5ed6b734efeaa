//! The tasks of a server that shares its database with others.

use std::sync::Arc;

use herald_broker::Broker;
use herald_store::{NodeChannel, NodeFrames, Store};
use tokio::sync::Notify;

use crate::{
    nodes::{
        CountersOfOthers, FromOthers, Hearers, OwnNode, RemoteInboxes, RetainedFollower, Served,
        SharedSessions, TellNodes, hear_others, inherit_from_others,
    },
    tasks::{Stage, Tasks},
};

/// What a server has from the others.
pub(super) struct FromOtherNodes {
    pub(super) hints: (NodeChannel, NodeFrames),
    pub(super) look_for_rights: Arc<Notify>,
    pub(super) shared: FromOthers,
    pub(super) retained: RetainedFollower,
}

/// Starts what it does as one of them. It is there for the others as long as there is anything that relies on it.
pub(super) fn spawn(
    tasks: &mut Tasks,
    store: &Store,
    broker: &Broker,
    node: OwnNode,
    sessions: Option<Arc<SharedSessions>>,
    from_others: FromOtherNodes,
) {
    let FromOtherNodes {
        hints: (channel, frames),
        look_for_rights,
        shared,
        retained,
    } = from_others;
    let (heir, standing, publishing) = (store.clone(), node.standing(), broker.clone());
    let channels = shared
        .channel()
        .into_iter()
        .chain([channel.clone()])
        .collect();
    tasks.spawn(Stage::Work, "heir of other servers", |stop| {
        inherit_from_others(heir, publishing, channels, standing, stop)
    });
    let (relaying, standing) = (broker.clone(), node.standing());
    tasks.spawn(Stage::Connections, "relay of shared topics", |stop| {
        shared.run(relaying, standing, stop)
    });
    let followed = retained.followed();
    tasks.spawn(
        Stage::Connections,
        "follower of retained messages",
        |stop| retained.run(stop),
    );
    let counters = CountersOfOthers::default();
    let hearers = Hearers {
        inboxes: RemoteInboxes::new(store.clone(), broker.clone()),
        retained: followed.clone(),
        counters: counters.clone(),
        rights: look_for_rights,
        sessions: sessions.clone(),
    };
    tasks.spawn(
        Stage::Sessions,
        "reader of what other servers tell",
        |stop| hear_others(frames, hearers, stop),
    );
    let (counting, tell) = (broker.clone(), TellNodes(Some(channel.clone())));
    tasks.spawn(Stage::Work, "counters of all servers", |stop| {
        counters.add_up(counting, tell, stop)
    });
    // The worker tells the others to its end.
    tasks.spawn(
        Stage::Connections,
        "channel to other servers",
        async move |stop| channel.run(stop).await,
    );
    let ends = Served {
        broker: broker.clone(),
        sessions,
        retained: followed,
    };
    tasks.spawn(Stage::Writers, "node", |stop| node.run(ends, stop));
}
