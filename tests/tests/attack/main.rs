//! What the neighbours of an account notice while it does its worst.
//!
//! Each attack is a program with bounds: so many connections, requests and bytes, on the loopback, for so long. It runs against
//! the real server while four other users send, hear of it and read. In the test run it is small and the server is a debug build
//! on a busy machine, so what is asked is only that nobody is refused, that the server says that it is ready, that rights end, and
//! that memory is bounded. `cargo xtask attack` runs it at full size against a release build, and prints and judges the neighbours'
//! times beside the same without the attack.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail them")]

mod answers;
mod bodies;
mod figures;
mod kept;
mod lists;
mod mqtt;
mod neighbours;
mod passwords;
mod report;
mod rights;
mod sends;
mod size;
mod survive;
mod tokens;
mod unfinished;
mod wire;
mod world;
