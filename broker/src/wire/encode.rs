//! Packets to send, in the client's version.

use std::num::NonZeroU32;

use mqtt_protocol_core::mqtt::packet::{
    AssignedClientIdentifier, ContentType, CorrelationData, GenericPacketTrait as _, MaximumQos,
    MessageExpiryInterval, Packet, PayloadFormat, PayloadFormatIndicator, Property, Qos,
    ReasonString, ResponseTopic, SessionExpiryInterval, SharedSubscriptionAvailable,
    SubscriptionIdentifier, UserProperty, v3_1_1, v5_0,
};

use mqtt_protocol_core::mqtt::result_code::{ConnectReasonCode, ConnectReturnCode, MqttError};

use super::{
    Closed, PubackCode, PublishProperties, Reason, SubackCode, UnsubackCode, Wire, decode::Connect,
};

/// What a successful CONNACK of MQTT 5 tells the client.
#[derive(Debug, Default)]
pub(crate) struct ConnackProperties {
    /// The client id that the server chose.
    pub(crate) assigned_client_id: Option<String>,
    /// The client asked for a session that outlives the connection: tell it that it does not.
    pub(crate) no_session_expiry: bool,
}

/// A PUBLISH to the client.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) properties: &'a PublishProperties,
    /// Identifiers of the subscriptions that it is for.
    pub(crate) identifiers: &'a [NonZeroU32],
}

/// What became of a PUBLISH to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Nothing more is heard of it.
    Qos0,
    /// A PUBACK with this packet identifier will answer it.
    Qos1(u16),
    /// The client does not take packets so large.
    TooLarge,
}

/// Appends the bytes of `packet`.
pub(super) fn append(packet: &Packet, out: &mut Vec<u8>) {
    out.extend_from_slice(&packet.to_continuous_buffer());
}

/// A property whose value the server made itself, or that came from a packet that was parsed: always well-formed.
fn property<T: Into<Property>, E>(made: Result<T, E>) -> Option<Property> {
    made.ok().map(Into::into)
}

/// More than all else takes in a packet with a reason string.
const AROUND_REASON: usize = 32;

impl Wire {
    /// Queues `packet`. The core refuses what the connection's state does not allow; then nothing is queued.
    fn send(&mut self, packet: Packet) -> Result<(), Closed> {
        let events = self.connection.send(packet);
        self.process(events).map(|_| ())
    }

    /// Reason strings go only to clients that want them, and where they fit (MQTT 5 section 3.4.2.2.2).
    fn reason_string(&self, text: &str) -> Vec<Property> {
        let fits = text.len() + AROUND_REASON <= self.peer_packet_bytes as usize;
        if text.is_empty() || !self.problem_information || !fits {
            return vec![];
        }
        property(ReasonString::new(text)).into_iter().collect()
    }

    /// CONNACK that accepts.
    pub(crate) fn accept(&mut self, connack: ConnackProperties) -> Result<(), Closed> {
        let packet = if self.is_v5() {
            let mut props: Vec<Property> = vec![];
            props.extend(property(MaximumQos::new(1)));
            props.extend(property(SharedSubscriptionAvailable::new(0)));
            if connack.no_session_expiry {
                props.extend(property(SessionExpiryInterval::new(0)));
            }
            if let Some(id) = connack.assigned_client_id {
                props.extend(property(AssignedClientIdentifier::new(id)));
            }
            v5_0::Connack::builder()
                .session_present(false)
                .reason_code(ConnectReasonCode::Success)
                .props(props)
                .build()
                .map(Packet::from)
        } else {
            v3_1_1::Connack::builder()
                .session_present(false)
                .return_code(ConnectReturnCode::Accepted)
                .build()
                .map(Packet::from)
        };
        self.send(packet.map_err(|e| Closed(Some(e)))?)
    }

    /// CONNACK that refuses; the connection is over.
    pub(crate) fn refuse(&mut self, reason: Reason, text: &str) {
        let packet = if self.is_v5() {
            v5_0::Connack::builder()
                .session_present(false)
                .reason_code(reason.connect_v5())
                .props(self.reason_string(text))
                .build()
                .map(Packet::from)
        } else {
            v3_1_1::Connack::builder()
                .session_present(false)
                .return_code(reason.connect_v3())
                .build()
                .map(Packet::from)
        };
        if let Ok(packet) = packet {
            let _ = self.send(packet);
        }
    }

    /// Ends the connection: DISCONNECT with `reason` in MQTT 5, which 3.1.1 does not have.
    pub(crate) fn disconnect(&mut self, reason: Reason) {
        if !self.is_v5() {
            return;
        }
        let packet = v5_0::Disconnect::builder()
            .reason_code(reason.disconnect())
            .build();
        if let Ok(packet) = packet {
            let _ = self.send(packet.into());
        }
    }

    /// The client broke the protocol: in MQTT 5 it is told how. The core has done so for some errors, and refuses it then,
    /// as it does before CONNACK.
    pub(super) fn broken(&mut self, error: MqttError) -> Closed {
        if self.is_v5() {
            let packet = v5_0::Disconnect::builder()
                .reason_code(error.into())
                .build();
            if let Ok(packet) = packet {
                let _ = self.send(packet.into());
            }
        }
        Closed(Some(error))
    }

    /// PUBACK. In 3.1.1 it carries no code: a refused message is acknowledged and dropped.
    pub(crate) fn puback(
        &mut self,
        packet_id: u16,
        code: PubackCode,
        text: &str,
    ) -> Result<(), Closed> {
        let packet = if self.is_v5() {
            let builder = v5_0::Puback::builder().packet_id(packet_id);
            match code {
                PubackCode::Success => builder.build().map(Packet::from),
                refused => builder
                    .reason_code(refused.v5())
                    .props(self.reason_string(text))
                    .build()
                    .map(Packet::from),
            }
        } else {
            v3_1_1::Puback::builder()
                .packet_id(packet_id)
                .build()
                .map(Packet::from)
        };
        self.send(packet.map_err(|e| Closed(Some(e)))?)
    }

    /// SUBACK, one code a filter.
    pub(crate) fn suback(&mut self, packet_id: u16, codes: &[SubackCode]) -> Result<(), Closed> {
        let packet = if self.is_v5() {
            v5_0::Suback::builder()
                .packet_id(packet_id)
                .reason_codes(codes.iter().map(|c| c.v5()).collect())
                .build()
                .map(Packet::from)
        } else {
            v3_1_1::Suback::builder()
                .packet_id(packet_id)
                .return_codes(codes.iter().map(|c| c.v3()).collect())
                .build()
                .map(Packet::from)
        };
        self.send(packet.map_err(|e| Closed(Some(e)))?)
    }

    /// UNSUBACK, one code a filter.
    pub(crate) fn unsuback(
        &mut self,
        packet_id: u16,
        codes: &[UnsubackCode],
    ) -> Result<(), Closed> {
        let packet = if self.is_v5() {
            v5_0::Unsuback::builder()
                .packet_id(packet_id)
                .reason_codes(codes.iter().map(|c| c.v5()).collect())
                .build()
                .map(Packet::from)
        } else {
            v3_1_1::Unsuback::builder()
                .packet_id(packet_id)
                .build()
                .map(Packet::from)
        };
        self.send(packet.map_err(|e| Closed(Some(e)))?)
    }

    /// PUBLISH. A packet larger than the client takes is left out, as MQTT 5 section 3.1.2.11.4 asks.
    pub(crate) fn publish(&mut self, publish: &Outgoing<'_>) -> Result<Sent, Closed> {
        let packet_id = match publish.qos {
            Qos::AtMostOnce => None,
            _ => Some(
                self.connection
                    .acquire_packet_id()
                    .map_err(|e| Closed(Some(e)))?,
            ),
        };
        let packet = if self.is_v5() {
            publish_v5(publish, packet_id)
        } else {
            publish_v3(publish, packet_id)
        };
        match self.send(packet.map_err(|e| Closed(Some(e)))?) {
            Ok(()) => Ok(packet_id.map_or(Sent::Qos0, Sent::Qos1)),
            Err(Closed(Some(MqttError::PacketTooLarge))) => {
                if let Some(id) = packet_id {
                    self.connection.release_packet_id(id);
                }
                Ok(Sent::TooLarge)
            }
            Err(closed) => Err(closed),
        }
    }
}

type Built = Result<Packet, MqttError>;

fn publish_v3(publish: &Outgoing<'_>, packet_id: Option<u16>) -> Built {
    let mut builder = v3_1_1::Publish::builder()
        .topic_name(publish.topic)?
        .qos(publish.qos)
        .retain(publish.retain)
        .payload(publish.payload);
    if let Some(id) = packet_id {
        builder = builder.packet_id(id);
    }
    builder.build().map(Packet::from)
}

fn publish_v5(publish: &Outgoing<'_>, packet_id: Option<u16>) -> Built {
    let p = publish.properties;
    let mut props: Vec<Property> = vec![];
    if p.utf8 {
        props.extend(property(PayloadFormatIndicator::new(PayloadFormat::String)));
    }
    if let Some(seconds) = p.message_expiry {
        props.extend(property(MessageExpiryInterval::new(seconds)));
    }
    if let Some(v) = &p.content_type {
        props.extend(property(ContentType::new(&**v)));
    }
    if let Some(v) = &p.response_topic {
        props.extend(property(ResponseTopic::new(&**v)));
    }
    if let Some(v) = &p.correlation_data {
        props.extend(property(CorrelationData::new(v.to_vec())));
    }
    for (key, value) in &p.user {
        props.extend(property(UserProperty::new(&**key, &**value)));
    }
    for id in publish.identifiers {
        props.extend(property(SubscriptionIdentifier::new(id.get())));
    }
    let mut builder = v5_0::Publish::builder()
        .topic_name(publish.topic)?
        .qos(publish.qos)
        .retain(publish.retain)
        .payload(publish.payload)
        .props(props);
    if let Some(id) = packet_id {
        builder = builder.packet_id(id);
    }
    builder.build().map(Packet::from)
}

impl Connect {
    /// Whether the client wants its session kept when the connection ends.
    pub(crate) fn wants_persistence(&self) -> bool {
        self.session_expiry > 0
    }
}
