//! From the core's packets, one type for each version, to [`Incoming`].

mod connect;
mod publish;
mod strict;
mod subscribe;

use mqtt_protocol_core::mqtt::{
    packet::{Packet, Property},
    result_code::MqttError,
};

use super::incoming::Incoming;
use connect::{connect_v3, connect_v5};
use publish::{publish_v3, publish_v5};
pub(super) use subscribe::with_bridge_options;
use subscribe::{subscribe_v3, subscribe_v5};

/// Decodes a packet that the core has parsed from `bytes` bytes; an error if it is one that MQTT does not allow and the core
/// lets through.
pub(super) fn decode(packet: Packet, bytes: usize) -> Result<Incoming, MqttError> {
    strict::check(&packet, bytes)?;
    Ok(match packet {
        Packet::V3_1_1Connect(p) => Incoming::Connect(Box::new(connect_v3(&p))),
        Packet::V5_0Connect(p) => Incoming::Connect(Box::new(connect_v5(&p))),
        Packet::V3_1_1Publish(p) => Incoming::Publish(publish_v3(&p)),
        Packet::V5_0Publish(p) => Incoming::Publish(publish_v5(&p)),
        Packet::V3_1_1Puback(p) => Incoming::Puback {
            packet_id: p.packet_id(),
        },
        Packet::V5_0Puback(p) => Incoming::Puback {
            packet_id: p.packet_id(),
        },
        Packet::V3_1_1Pubrec(p) => Incoming::Pubrec {
            packet_id: p.packet_id(),
            refused: false,
        },
        Packet::V5_0Pubrec(p) => Incoming::Pubrec {
            packet_id: p.packet_id(),
            // MQTT 5 section 4.3.3.
            refused: p.reason_code().is_some_and(|c| c as u8 >= 0x80),
        },
        Packet::V3_1_1Pubrel(p) => Incoming::Pubrel {
            packet_id: p.packet_id(),
        },
        Packet::V5_0Pubrel(p) => Incoming::Pubrel {
            packet_id: p.packet_id(),
        },
        Packet::V3_1_1Pubcomp(p) => Incoming::Pubcomp {
            packet_id: p.packet_id(),
        },
        Packet::V5_0Pubcomp(p) => Incoming::Pubcomp {
            packet_id: p.packet_id(),
        },
        Packet::V3_1_1Subscribe(p) => Incoming::Subscribe(subscribe_v3(&p)),
        Packet::V5_0Subscribe(p) => Incoming::Subscribe(subscribe_v5(&p)),
        Packet::V3_1_1Unsubscribe(p) => Incoming::Unsubscribe {
            packet_id: p.packet_id(),
            filters: p.entries().iter().map(|e| e.as_str().to_owned()).collect(),
        },
        Packet::V5_0Unsubscribe(p) => Incoming::Unsubscribe {
            packet_id: p.packet_id(),
            filters: p.entries().iter().map(|e| e.as_str().to_owned()).collect(),
        },
        Packet::V3_1_1Disconnect(_) => Incoming::Disconnect {
            with_will: false,
            session_expiry: None,
        },
        Packet::V5_0Disconnect(p) => Incoming::Disconnect {
            with_will: p.reason_code().is_some_and(|c| c as u8 != 0),
            session_expiry: p.props().iter().flatten().find_map(|p| match p {
                Property::SessionExpiryInterval(v) => Some(v.val()),
                _ => None,
            }),
        },
        Packet::V3_1_1Pingreq(_) | Packet::V5_0Pingreq(_) => Incoming::Pingreq,
        _ => Incoming::Unsupported,
    })
}
