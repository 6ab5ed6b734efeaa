//! Packets to send, in the client's version.

use std::num::NonZeroU32;

use mqtt_protocol_core::mqtt::{
    packet::{
        AssignedClientIdentifier, ContentType, CorrelationData, GenericPacketTrait as _,
        MessageExpiryInterval, Packet, PayloadFormat, PayloadFormatIndicator, Property, Qos,
        ReasonString, ReceiveMaximum, ResponseInformation, ResponseTopic, ServerKeepAlive,
        SessionExpiryInterval, SubscriptionIdentifier, TopicAliasMaximum, UserProperty, v3_1_1,
        v5_0,
    },
    result_code::{
        ConnectReasonCode, ConnectReturnCode, MqttError, PubcompReasonCode, PubrelReasonCode,
    },
};

use super::{
    Closed, PublishCode, PublishProperties, Reason, SubackCode, UnsubackCode, Wire,
    connect::{self, Speaks},
};
use crate::limits::TOPIC_ALIASES;

/// What a successful CONNACK tells the client; all but the first in MQTT 5 only.
#[derive(Debug, Default)]
pub(crate) struct ConnackProperties {
    /// The client's session was kept, and goes on.
    pub(crate) session_present: bool,
    /// The client id that the server chose.
    pub(crate) assigned_client_id: Option<String>,
    /// Seconds that the session is kept for, if not what the client asked for.
    pub(crate) session_expiry: Option<u32>,
    /// The keep-alive in seconds, if not what the client asked for.
    pub(crate) server_keep_alive: Option<u16>,
    /// Below which topic the client may be answered, if it asked (section 3.2.2.3.15).
    pub(crate) response_information: Option<String>,
    /// Packets that the client may have under way (section 3.2.2.3.3).
    pub(crate) receive_maximum: u16,
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
    /// The packet identifier, of QoS 1 and 2.
    pub(crate) packet_id: u16,
    /// It was sent on an earlier connection, under the same identifier (MQTT 5 section 4.4).
    pub(crate) again: bool,
}

/// What became of a PUBLISH to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is on its way.
    Sent,
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
            v5_0::Connack::builder()
                .session_present(connack.session_present)
                .reason_code(ConnectReasonCode::Success)
                .props(connack_properties(connack))
                .build()
                .map(Packet::from)
        } else {
            v3_1_1::Connack::builder()
                .session_present(connack.session_present)
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

    /// CONNECT is of a version that is not spoken here: answered in the form of what its sender may understand (MQTT 3.1.1
    /// section 3.1.2.2, MQTT 5 section 3.1.2.2).
    pub(super) fn refuse_version(&mut self, speaks: Speaks) -> Closed {
        let connack: &[u8] = match speaks {
            Speaks::Older => &[0x20, 2, 0, 0x01],
            Speaks::Newer => &[0x20, 3, 0, 0x84, 0],
            _ => &[],
        };
        self.out.extend_from_slice(connack);
        Closed(Some(MqttError::UnsupportedProtocolVersion))
    }

    /// CONNECT could not be taken, of which the core has said less or more than it should. MQTT 3.1.1 closes without a word
    /// (MQTT-3.1.4-1).
    pub(super) fn refuse_malformed(&mut self, connect: &[u8], error: MqttError) -> Closed {
        self.out.clear();
        if self.is_v5() {
            let code = match error {
                _ if connect::has_no_user_name(connect) => ConnectReasonCode::NotAuthorized,
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
                append(&packet.into(), &mut self.out);
            }
        }
        Closed(Some(error))
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

    /// The answer to a PUBLISH at `qos`: PUBACK, or PUBREC. In 3.1.1 it carries no code: a refused message is acknowledged
    /// and dropped.
    pub(crate) fn answer(
        &mut self,
        qos: Qos,
        packet_id: u16,
        code: PublishCode,
        text: &str,
    ) -> Result<(), Closed> {
        self.unanswered.retain(|id| *id != packet_id);
        let packet = match (qos, self.is_v5()) {
            (Qos::ExactlyOnce, true) => pubrec_v5(packet_id, code, self.reason_string(text)),
            (Qos::ExactlyOnce, false) => v3_1_1::Pubrec::builder()
                .packet_id(packet_id)
                .build()
                .map(Packet::from),
            (_, true) => puback_v5(packet_id, code, self.reason_string(text)),
            (_, false) => v3_1_1::Puback::builder()
                .packet_id(packet_id)
                .build()
                .map(Packet::from),
        };
        self.send(packet.map_err(|e| Closed(Some(e)))?)
    }

    /// PUBREL: the answer to PUBREC, also to one that came over an earlier connection. `known`: there was such a PUBLISH
    /// (MQTT 5 section 3.6.2.1).
    pub(crate) fn pubrel(&mut self, packet_id: u16, known: bool) -> Result<(), Closed> {
        let packet = if self.is_v5() {
            let builder = v5_0::Pubrel::builder().packet_id(packet_id);
            if known {
                builder.build().map(Packet::from)
            } else {
                builder
                    .reason_code(PubrelReasonCode::PacketIdentifierNotFound)
                    .build()
                    .map(Packet::from)
            }
        } else {
            v3_1_1::Pubrel::builder()
                .packet_id(packet_id)
                .build()
                .map(Packet::from)
        };
        self.append(&packet.map_err(|e| Closed(Some(e)))?);
        Ok(())
    }

    /// Queues a packet of a flow that the session keeps, past the core. A packet larger than the client takes is left out, as
    /// MQTT 5 section 3.1.2.11.4 asks.
    fn append(&mut self, packet: &Packet) -> Sent {
        if packet.size() > self.peer_packet_bytes as usize {
            return Sent::TooLarge;
        }
        append(packet, &mut self.out);
        Sent::Sent
    }

    /// PUBCOMP: the answer to PUBREL. `known`: there was such a PUBLISH.
    pub(crate) fn pubcomp(&mut self, packet_id: u16, known: bool) -> Result<(), Closed> {
        let packet = if self.is_v5() {
            let builder = v5_0::Pubcomp::builder().packet_id(packet_id);
            if known {
                builder.build().map(Packet::from)
            } else {
                builder
                    .reason_code(PubcompReasonCode::PacketIdentifierNotFound)
                    .build()
                    .map(Packet::from)
            }
        } else {
            v3_1_1::Pubcomp::builder()
                .packet_id(packet_id)
                .build()
                .map(Packet::from)
        };
        self.send(packet.map_err(|e| Closed(Some(e)))?)
    }

    /// Takes up a session that was kept, right after CONNACK: `received` are the QoS 2 PUBLISHes that wait for their PUBREL.
    pub(crate) fn resume(&mut self, received: impl Iterator<Item = u16>) {
        self.connection
            .restore_qos2_publish_handled(received.collect());
    }

    /// SUBACK, one code a filter. To a client that said after which number its inbox is to start, `epoch` is the one that
    /// the inbox is in, and why it starts elsewhere, if it does.
    pub(crate) fn suback(
        &mut self,
        packet_id: u16,
        codes: &[SubackCode],
        epoch: Option<(&str, &str)>,
    ) -> Result<(), Closed> {
        let packet = if self.is_v5() {
            let (epoch, reason) = epoch.unzip();
            let epoch = epoch.filter(|_| self.problem_information);
            let mut props = self.reason_string(reason.unwrap_or_default());
            props.extend(epoch.and_then(|epoch| property(UserProperty::new("epoch", epoch))));
            v5_0::Suback::builder()
                .packet_id(packet_id)
                .reason_codes(codes.iter().map(|c| c.v5()).collect())
                .props(props)
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

    /// PUBLISH.
    pub(crate) fn publish(&mut self, publish: &Outgoing<'_>) -> Result<Sent, Closed> {
        let mut packet = self.build(publish).map_err(|e| Closed(Some(e)))?;
        let alias = self.alias(publish.topic);
        if let Packet::V5_0Publish(p) = packet {
            packet = match alias {
                Alias::None => p,
                Alias::New(alias) => p.add_topic_alias(alias),
                Alias::Known(alias) => p.remove_topic_add_topic_alias(alias),
            }
            .into();
        }
        let sent = self.append(&packet);
        if sent == Sent::Sent && matches!(alias, Alias::New(_)) {
            self.aliases.push(publish.topic.into());
        }
        Ok(sent)
    }

    fn build(&self, publish: &Outgoing<'_>) -> Built {
        let has_id = publish.qos != Qos::AtMostOnce;
        let packet_id = has_id.then_some(publish.packet_id);
        if self.is_v5() {
            publish_v5(publish, packet_id)
        } else {
            publish_v3(publish, packet_id)
        }
    }

    /// The first topics of a connection get an alias each (MQTT 5 section 3.3.2.3.4), as many as the client and we keep.
    fn alias(&self, topic: &str) -> Alias {
        if let Some(known) = self.aliases.iter().position(|t| &**t == topic) {
            return Alias::Known(known as u16 + 1);
        }
        let next = self.aliases.len() as u16 + 1;
        if next <= self.topic_alias_maximum {
            Alias::New(next)
        } else {
            Alias::None
        }
    }
}

/// How a topic is named in a PUBLISH of MQTT 5.
#[derive(Clone, Copy)]
enum Alias {
    None,
    New(u16),
    Known(u16),
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

fn puback_v5(packet_id: u16, code: PublishCode, reason: Vec<Property>) -> Built {
    let builder = v5_0::Puback::builder().packet_id(packet_id);
    match code {
        PublishCode::Success => builder.build(),
        refused => builder.reason_code(refused.puback()).props(reason).build(),
    }
    .map(Packet::from)
}

fn pubrec_v5(packet_id: u16, code: PublishCode, reason: Vec<Property>) -> Built {
    let builder = v5_0::Pubrec::builder().packet_id(packet_id);
    match code {
        PublishCode::Success => builder.build(),
        refused => builder.reason_code(refused.pubrec()).props(reason).build(),
    }
    .map(Packet::from)
}

type Built = Result<Packet, MqttError>;

fn publish_v3(publish: &Outgoing<'_>, packet_id: Option<u16>) -> Built {
    let mut builder = v3_1_1::Publish::builder()
        .topic_name(publish.topic)?
        .qos(publish.qos)
        .dup(publish.again)
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
    if let Some(utf8) = p.utf8 {
        let format = if utf8 {
            PayloadFormat::String
        } else {
            PayloadFormat::Binary
        };
        props.extend(property(PayloadFormatIndicator::new(format)));
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
        .dup(publish.again)
        .retain(publish.retain)
        .payload(publish.payload)
        .props(props);
    if let Some(id) = packet_id {
        builder = builder.packet_id(id);
    }
    builder.build().map(Packet::from)
}
