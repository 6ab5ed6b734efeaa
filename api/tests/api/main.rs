//! The HTTP API as its clients see it, on a real database.

#![expect(clippy::unwrap_used, reason = "a test may panic in its helpers too")]

mod accounts;
mod admin;
mod admin_messages;
mod app;
mod audit;
mod auth;
mod budgets;
mod cancel;
mod client;
mod connections;

mod docs;
mod document;
mod errors;
mod in_force;
mod known_browsers;
mod messages;
mod mqtt_ws;
mod notifications;
mod openapi;
mod pages;
mod password;
mod queue;
mod quotas;
mod registration;
mod rules;
mod sessions;
mod tokens;
mod user_delay;
mod users;
