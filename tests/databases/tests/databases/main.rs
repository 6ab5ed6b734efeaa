//! Databases of tests, and the proxy, on real servers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod making;
mod proxy;
mod servers;
