//! The webhook against HTTP servers that misbehave in every way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answers;
mod asking;
mod broken;
mod connections;
mod h2_server;
mod jobs;
mod pausing;
mod server;
mod tls;
