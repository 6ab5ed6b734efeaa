//! PUBLISH.

use std::num::NonZeroU32;

use mqtt_protocol_core::mqtt::{
    packet::{
        ContentType, CorrelationData, MessageExpiryInterval, PayloadFormat, PayloadFormatIndicator,
        Property, ResponseTopic, SubscriptionIdentifier, UserProperty, v3_1_1, v5_0,
    },
    result_code::MqttError,
};

use super::properties::property;
use crate::wire::{
    Qos,
    connection::{Closed, Sent, Wire},
    incoming::PublishProperties,
};

/// A PUBLISH to the client.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) properties: &'a PublishProperties,
    /// Identifiers of the subscriptions that it matches.
    pub(crate) identifiers: &'a [NonZeroU32],
    /// The packet identifier, of QoS 1 and 2.
    pub(crate) packet_id: u16,
    /// It was sent on an earlier connection, under the same identifier (MQTT 5 section 4.4).
    pub(crate) dup: bool,
}

impl Outgoing<'_> {
    fn packet_id(&self) -> Option<u16> {
        (self.qos != Qos::AtMostOnce).then_some(self.packet_id)
    }
}

/// How a topic is named in a PUBLISH of MQTT 5.
enum Alias {
    None,
    New(u16),
    Known(u16),
}

impl Wire {
    /// PUBLISH.
    pub(crate) fn publish(&mut self, publish: &Outgoing<'_>) -> Result<Sent, Closed> {
        if !self.is_v5() {
            return self.send_past_core(publish_v3(publish));
        }
        let packet = publish_v5(publish)?;
        match self.alias(publish.topic) {
            Alias::None => self.send_past_core(Ok(packet)),
            Alias::Known(alias) => {
                self.send_past_core(Ok(packet.remove_topic_add_topic_alias(alias)))
            }
            Alias::New(alias) => {
                let sent = self.send_past_core(Ok(packet.add_topic_alias(alias)))?;
                if sent == Sent::Sent {
                    self.aliases.push(publish.topic.into());
                }
                Ok(sent)
            }
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

fn publish_v3(publish: &Outgoing<'_>) -> Result<v3_1_1::Publish, MqttError> {
    let mut builder = v3_1_1::Publish::builder()
        .topic_name(publish.topic)?
        .qos(publish.qos)
        .dup(publish.dup)
        .retain(publish.retain)
        .payload(publish.payload);
    if let Some(id) = publish.packet_id() {
        builder = builder.packet_id(id);
    }
    builder.build()
}

fn publish_v5(publish: &Outgoing<'_>) -> Result<v5_0::Publish, MqttError> {
    let mut builder = v5_0::Publish::builder()
        .topic_name(publish.topic)?
        .qos(publish.qos)
        .dup(publish.dup)
        .retain(publish.retain)
        .payload(publish.payload)
        .props(properties(publish));
    if let Some(id) = publish.packet_id() {
        builder = builder.packet_id(id);
    }
    builder.build()
}

fn properties(publish: &Outgoing<'_>) -> Vec<Property> {
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
    props
}
