//! The web app in a real browser, on a real server over TLS.
//!
//! What a person does is in `tests/js/web`: node scripts that drive Debian's Chromium, and [ask](world::World) for what
//! only the test can do, such as killing the server. Screenshots of every page are written to `target/screenshots`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail them")]

mod browser;
mod build;
mod careful;
mod identity;
mod live;
mod load;
mod operate;
mod oversee;
mod pages;
mod size;
mod user;
mod world;
