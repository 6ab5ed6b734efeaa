//! PostgreSQL, MariaDB and NATS for tests: private servers, each in a temporary folder, on a free port of loopback, as a user that is
//! not root. They end with the process that started them, however that ends.
//!
//! `cargo xtask` starts those that all tests share; a test that kills its server starts one of its own. Linux only: processes
//! are found in /proc.

mod account;
mod guardian;
mod kind;
mod mariadb;
mod nats;
mod port;
mod postgres;
mod processes;
mod programs;
mod secret;
mod server;
mod server_home;

pub use kind::{CHOSEN, ServerKind, is_listed};
pub use nats::NatsServer;
pub use server::PrivateServer;
