//! What may come in over HTTP: broken, hostile and slow requests, byte by byte, against the real server.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail them")]

mod bad_input;
mod framing;
mod http_versions;
mod rates;
mod slow;
mod wire;
