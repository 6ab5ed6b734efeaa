//! CONNACK.

use mqtt_protocol_core::mqtt::{
    packet::{
        AssignedClientIdentifier, Property, ReceiveMaximum, ResponseInformation, ServerKeepAlive,
        SessionExpiryInterval, TopicAliasMaximum, v3_1_1, v5_0,
    },
    result_code::{ConnectReasonCode, ConnectReturnCode, MqttError},
};

use super::properties::property;
use crate::{
    limits::TOPIC_ALIASES,
    wire::{
        connection::{Closed, Wire},
        raw::connect::{self, Protocol},
        reason::Reason,
    },
};

/// What is in a CONNACK that accepts; all but the first in MQTT 5 only.
#[derive(Debug, Default)]
pub(crate) struct ConnackProperties {
    /// The client resumes a session that was kept.
    pub(crate) session_present: bool,
    /// The client id that the server chose.
    pub(crate) assigned_client_id: Option<String>,
    /// Seconds that the session is kept for, if not what the client asked for.
    pub(crate) session_expiry: Option<u32>,
    /// The keep-alive in seconds, if not what the client asked for.
    pub(crate) server_keep_alive: Option<u16>,
    /// The topic below which the client may be sent responses, if it asked (section 3.2.2.3.15).
    pub(crate) response_information: Option<String>,
    /// QoS 1 and 2 PUBLISHes that the client may have in flight (section 3.2.2.3.3).
    pub(crate) receive_maximum: u16,
}

impl Wire {
    /// CONNACK that accepts.
    pub(crate) fn accept(&mut self, connack: ConnackProperties) -> Result<(), Closed> {
        if self.is_v5() {
            let packet = v5_0::Connack::builder()
                .session_present(connack.session_present)
                .reason_code(ConnectReasonCode::Success)
                .props(connack_properties(connack));
            self.send(packet.build())
        } else {
            let packet = v3_1_1::Connack::builder()
                .session_present(connack.session_present)
                .return_code(ConnectReturnCode::Accepted);
            self.send(packet.build())
        }
    }

    /// CONNACK that refuses; the connection is over.
    pub(crate) fn refuse(&mut self, reason: Reason, text: &str) {
        let _ = if self.is_v5() {
            let packet = v5_0::Connack::builder()
                .session_present(false)
                .reason_code(reason.connect_v5())
                .props(self.reason_string(text));
            self.send(packet.build())
        } else {
            let packet = v3_1_1::Connack::builder()
                .session_present(false)
                .return_code(reason.connect_v3());
            self.send(packet.build())
        };
    }

    /// Takes up a session that was kept, right after CONNACK: `received` are the QoS 2 PUBLISHes that wait for their PUBREL.
    pub(crate) fn resume(&mut self, received: impl Iterator<Item = u16>) {
        self.connection
            .restore_qos2_publish_handled(received.collect());
    }

    /// CONNACK that refuses a protocol, in the form that its sender may understand (MQTT 3.1.1 section 3.1.2.2, MQTT 5 section
    /// 3.1.2.2).
    pub(in crate::wire) fn refuse_protocol(&mut self, protocol: Protocol) -> Closed {
        let connack: &[u8] = match protocol {
            Protocol::Older => &[0x20, 2, 0, 0x01],
            Protocol::Newer => &[0x20, 3, 0, 0x84, 0],
            _ => &[],
        };
        self.out.extend_from_slice(connack);
        Closed(Some(MqttError::UnsupportedProtocolVersion))
    }

    /// Refuses a CONNECT that the core has refused, in place of what the core queued. MQTT 3.1.1 closes without a CONNACK
    /// (MQTT-3.1.4-1).
    pub(in crate::wire) fn refuse_malformed(&mut self, connect: &[u8], error: MqttError) -> Closed {
        self.out.clear();
        if self.is_v5() {
            let code = match error {
                _ if connect::has_password_alone(connect) => ConnectReasonCode::NotAuthorized,
                MqttError::ClientIdentifierNotValid => ConnectReasonCode::ClientIdentifierNotValid,
                MqttError::TopicNameInvalid => ConnectReasonCode::TopicNameInvalid,
                MqttError::ProtocolError => ConnectReasonCode::ProtocolError,
                _ => ConnectReasonCode::MalformedPacket,
            };
            let packet = v5_0::Connack::builder()
                .session_present(false)
                .reason_code(code)
                .build();
            if let Ok(packet) = packet {
                self.append(&packet.into());
            }
        }
        Closed(Some(error))
    }
}

fn connack_properties(connack: ConnackProperties) -> Vec<Property> {
    let mut props: Vec<Property> = vec![];
    props.extend(property(ReceiveMaximum::new(connack.receive_maximum)));
    props.extend(property(TopicAliasMaximum::new(TOPIC_ALIASES)));
    if let Some(seconds) = connack.session_expiry {
        props.extend(property(SessionExpiryInterval::new(seconds)));
    }
    if let Some(id) = connack.assigned_client_id {
        props.extend(property(AssignedClientIdentifier::new(id)));
    }
    if let Some(seconds) = connack.server_keep_alive {
        props.extend(property(ServerKeepAlive::new(seconds)));
    }
    if let Some(topic) = connack.response_information {
        props.extend(property(ResponseInformation::new(topic)));
    }
    props
}
