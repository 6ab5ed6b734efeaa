//! What the end-to-end tests are made of: the real `herald` binary, and the clients that talk to it.
//!
//! Everything here panics when something is not as it should be: only tests use it.

#![expect(
    clippy::unwrap_used,
    reason = "a harness that cannot go on fails the test that uses it"
)]

mod authority;
mod balancer;
mod cli;
mod database;
mod disk;
mod failing;
mod fake_clock;
mod haproxy;
mod herald;
mod http;
mod lines;
mod mosquitto;
mod mosquitto_bridge;
mod mqttjs;
mod names;
mod node_service;
pub mod notified;
mod pgbouncer;
mod ports;
pub mod raw;
mod rumqttc;
mod secured;
mod shared;
mod version;
mod wait;
mod websocket;

pub use authority::Authority;
pub use balancer::Balancer;
pub use cli::{Cli, Ended, program};
pub use database::{chosen_kind, empty_database};
pub use disk::{Immutable, SmallDisk, fill, free};
pub use failing::failing_service;
pub use fake_clock::FakeClock;
pub use haproxy::HaProxy;
pub use herald::{Herald, Run, several::acquaint};
pub use http::{Answer, Http};
pub use mosquitto::{Mosquitto, Received, Subscriber, Transport};
pub use mosquitto_bridge::MosquittoBridge;
pub use mqttjs::MqttJs;
pub use names::password;
pub use node_service::{NodeService, WEBHOOK_SECRET};
pub use pgbouncer::PgBouncer;
pub use rumqttc::{Delivered, Options as RumqttcOptions, Rumqttc};
pub use secured::{Way, secured};
pub use shared::SharedServer;
pub use version::Version;
pub use wait::{LIMIT, until, within};
pub use websocket::{bridge, websocket};
