//! What is served at each path: one file a resource.

pub(crate) mod access_check;
pub(crate) mod admin_messages;
pub(crate) mod app;
pub(crate) mod audit_api;
pub(crate) mod auth;
pub(crate) mod connections;
pub(crate) mod delay;
pub(crate) mod docs_page;
pub(crate) mod health;
pub(crate) mod messages;
pub(crate) mod mqtt_access;
pub(crate) mod mqtt_ws;
pub(crate) mod notifications;
pub(crate) mod queue;
pub(crate) mod registration;
pub(crate) mod rules;
pub(crate) mod sessions;
pub(crate) mod tags;
pub(crate) mod tokens;
pub(crate) mod user_delay;
pub(crate) mod users;
