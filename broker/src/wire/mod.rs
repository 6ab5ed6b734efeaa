//! One client's end of the protocol, the same for MQTT 3.1.1 and 5.
//!
//! [`Wire`] turns received bytes into [`Incoming`] packets, and what the session sends into bytes. All differences between the
//! two versions end here. The *core* is `mqtt-protocol-core`: it parses, and keeps the keep-alive and what is received at
//! QoS 2. What is sent at QoS 1 and 2, and its packet identifiers, are the session's.

mod connection;
mod decode;
mod encode;
mod incoming;
mod raw;
mod reason;
mod receive;
mod receive_buffer;

/// Quality of service.
pub(crate) use mqtt_protocol_core::mqtt::packet::{Qos, RetainHandling};

pub(crate) use connection::{Closed, Sent, Wire};
pub(crate) use encode::{ConnackProperties, Outgoing};
pub(crate) use incoming::{
    Connect, Incoming, Publish, PublishProperties, Subscribe, Subscription, Will,
};
pub(crate) use reason::{PublishCode, Reason, SubackCode, UnsubackCode};
