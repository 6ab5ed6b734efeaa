//! The real `herald` binary, its real files, and real clients: mosquitto_sub, MQTT.js, rumqttc, and a client that shows
//! every byte. What is tested on each database is in `smoke`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail them")]

use herald_tests::notified;

mod access_check;
mod admin_connections;
mod banner;
mod client_ids;
mod connections;
mod container;
mod cursors;
mod databases;
mod denied;
mod epochs;
mod exactly_once;
mod failures;
mod flow;
mod heard;
mod hostile;
mod keep_alive;
mod limits;
mod login;
mod logs;
mod migrate;
mod mosquitto_bridge;
mod mqttjs;
mod omitted;
mod order;
mod progress;
mod promise;
mod properties;
mod qos;
mod queue;
mod queued;
mod resumed_inbox;
mod retained;
mod rules;
mod rumqttc;
mod rumqttc_shared;
mod sessions;
mod share;
mod share_refused;
mod shared;
mod shutdown;
mod skips;
mod slow;
mod startup;
mod storage;
mod subscriptions;
mod swagger;
mod watching;
mod websocket;
mod wills;
