//! What a client sends that is malformed, out of order or refused, and what must come back. The numbers are sections
//! and statements of MQTT 5; where 3.1.1 numbers them otherwise, it says the same.

mod client;
#[path = "../common/mod.rs"]
mod common;
mod connecting;
mod packets;
mod properties;
mod qos2;
mod row;
mod strict;
