//! What a client sends that is malformed, out of order or refused, and what must come back. The numbers are sections
//! and statements of MQTT 5; where 3.1.1 numbers them otherwise, it says the same.

mod bridge;
mod bytes;
#[path = "../common/client.rs"]
mod client;
#[path = "../common/mod.rs"]
mod common;
mod connecting;
mod names;
mod packets;
mod passing;
mod properties;
mod qos2;
mod row;
#[path = "../common/small.rs"]
mod small;
mod strict;
mod table;
#[path = "../common/text.rs"]
mod text;
#[path = "../common/user.rs"]
mod user;
