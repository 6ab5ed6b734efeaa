//! The real `herald` binary, its real files, and real clients: mosquitto_sub, MQTT.js, rumqttc, and a client that shows
//! every byte.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail them")]

mod admin_connections;
mod banner;
mod cli;
mod client_ids;
mod config;
mod connections;
mod cursors;
mod delay;
mod denied;
mod epochs;
mod exactly_once;
mod failures;
mod flow;
mod heard;
mod hostile;
mod isolation;
mod keep_alive;
mod kill;
mod limits;
mod login;
mod logs;
mod mqttjs;
mod notified;
mod offline;
mod omitted;
mod progress;
mod promise;
mod properties;
mod qos;
mod queue;
mod queued;
mod resumed_inbox;
mod retained;
mod rights;
mod rules;
mod rumqttc;
mod rumqttc_shared;
mod send;
mod sessions;
mod share;
mod shared;
mod shutdown;
mod skips;
mod slow;
mod startup;
mod storage;
mod subscriptions;
mod swagger;
mod watching;
mod webhook;
mod websocket;
mod wills;
