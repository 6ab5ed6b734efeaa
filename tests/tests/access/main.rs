//! Who may do what over HTTP, and what may come in: everyone against every operation, other users' things, secrets; and
//! broken, hostile and slow requests, byte by byte, against the real server.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail them")]

mod bad_input;
mod configuration;
mod document;
mod endings;
mod foreign;
mod framing;
mod http_versions;
mod inputs;
mod matrix;
mod rates;
mod secrets;
mod slow;
mod wire;
