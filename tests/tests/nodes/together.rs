//! Several servers that hear each other.

use std::sync::Arc;

use herald_test_databases::TestDatabase;
use herald_tests::{
    Herald, Version,
    raw::{Connect, Raw},
};

/// Three servers that hear each other, with accounts, alice and bob.
pub(crate) async fn three(database: &Arc<TestDatabase>) -> [Herald; 3] {
    three_with(database, &[]).await
}

/// The same with these settings.
pub(crate) async fn three_with(
    database: &Arc<TestDatabase>,
    settings: &[(&str, &str)],
) -> [Herald; 3] {
    let mut servers = [(); 3].map(|()| Herald::stopped_on_database(database, settings));
    servers[0].begin().await;
    let admin = servers[0].http("admin").await;
    let delay = serde_json::json!({"mode": "fixed", "ms": 0});
    admin.set_delay(delay).await;
    for name in ["alice", "bob"] {
        admin.create_user(name, "user").await;
    }
    for herald in &mut servers[1..] {
        herald.begin().await;
    }
    acquaint(&servers).await;
    servers
}

/// A connection of this user: another client at each server.
pub(crate) async fn client(herald: &Herald, version: Version, username: &str) -> Raw {
    let id = format!("{username} {}", herald.tcp_address());
    Raw::connect_as(herald, version, &Connect::of(username).client_id(&id)).await
}

/// A connection that has subscribed.
pub(crate) async fn listener(
    herald: &Herald,
    version: Version,
    username: &str,
    filter: &str,
) -> Raw {
    let mut raw = client(herald, version, username).await;
    assert!(raw.subscribe(filter).await <= 2);
    raw
}

/// Waits until each server hears each other.
pub(crate) async fn acquaint(servers: &[Herald]) {
    let addresses: Vec<_> = servers.iter().map(Herald::tcp_address).collect();
    herald_tests::acquaint(&addresses).await;
}

/// What has come by now, acknowledged: who takes nothing is disconnected in the end.
pub(crate) async fn came(raw: &mut Raw) -> Vec<String> {
    let mut all = vec![];
    for publish in raw.at_once().await {
        raw.finish(&publish).await;
        all.push(publish.payload);
    }
    all
}
