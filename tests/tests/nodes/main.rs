//! Servers that share a database: what becomes of one that is killed, stopped, or cut off from the database. Those that run on
//! PostgreSQL and on MariaDB need a server of each, and without it say that they tested nothing.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail them")]

mod cut_off;
mod drain;
mod examples;
mod gone;
mod haproxy;
mod hints;
mod listed;
mod nats;
mod quotas;
mod retained;
mod rights;
mod service;
mod sessions;
mod shared;
mod stopped;
mod together;
mod upgrade;
mod wills;

use std::sync::Arc;

use herald_test_databases::{DatabaseKind, TestDatabase};
use herald_tests::{Answer, Herald, Http, empty_database};
use reqwest::Method;
use serde_json::json;

use crate::service::Service;

/// The machines' name for the reason in `/readyz`.
const CUT_OFF: &str = "cut off from the database";

/// An empty database for several servers; `None` if this kind is not tested.
async fn database(kind: DatabaseKind) -> Option<Arc<TestDatabase>> {
    empty_database(kind).await
}

/// A server whose messages are processed by `service`, in a database with an account, alice, and no delay.
async fn serving(database: &Arc<TestDatabase>, service: &Service, url: &str) -> Herald {
    let settings = service.settings();
    let mut settings: Vec<_> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
    settings.push(("HERALD_DATABASE__URL", url));
    let mut herald = Herald::stopped_on_database(database, &settings);
    herald.begin().await;
    let admin = herald.http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    admin.create_user("alice", "user").await;
    herald
}

/// Another server, which processes messages by itself.
async fn other(database: &Arc<TestDatabase>) -> Herald {
    let mut herald = Herald::stopped_on_database(database, &[]);
    herald.begin().await;
    herald
}

/// What `/readyz` says.
async fn ready(herald: &Herald) -> Answer {
    let http = Http::anonymous(herald);
    http.send(http.request(Method::GET, "/readyz")).await
}

/// The ids of the servers that are listed.
async fn listed(herald: &Herald) -> Vec<String> {
    let list = herald.cli(&["nodes"]).succeed().await;
    let ids = list.lines().map(|line| line.split('\t').next().unwrap());
    ids.map(str::to_owned).collect()
}
