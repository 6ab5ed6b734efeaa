//! Properties of MQTT 5 packets (section 2.2.2).

use super::bytes::{Rest, binary, string, varint};

/// One property. Which packets have it is the test's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Property {
    /// 1 for UTF-8 (section 3.3.2.3.2).
    PayloadFormat(u8),
    /// Seconds (section 3.3.2.3.3).
    MessageExpiry(u32),
    /// Section 3.3.2.3.9.
    ContentType(String),
    /// Section 3.3.2.3.5.
    ResponseTopic(String),
    /// Section 3.3.2.3.6.
    CorrelationData(Vec<u8>),
    /// Section 3.8.2.1.2.
    SubscriptionIdentifier(u32),
    /// Seconds (section 3.1.2.11.2).
    SessionExpiry(u32),
    /// Section 3.2.2.3.7.
    AssignedClientId(String),
    /// Seconds (section 3.2.2.3.14).
    ServerKeepAlive(u16),
    /// Section 3.1.2.11.9.
    AuthenticationMethod(String),
    /// Section 3.1.2.11.10.
    AuthenticationData(Vec<u8>),
    /// 0 for no reason strings (section 3.1.2.11.7).
    RequestProblemInformation(u8),
    /// Seconds (section 3.1.3.2.2).
    WillDelay(u32),
    /// 1 to ask (section 3.1.2.11.6).
    RequestResponseInformation(u8),
    /// Section 3.2.2.3.15.
    ResponseInformation(String),
    /// Section 3.2.2.3.16.
    ServerReference(String),
    /// Section 3.2.2.3.9.
    ReasonString(String),
    /// Packets (section 3.1.2.11.3).
    ReceiveMaximum(u16),
    /// Aliases (section 3.1.2.11.5).
    TopicAliasMaximum(u16),
    /// Section 3.3.2.3.4.
    TopicAlias(u16),
    /// Section 3.2.2.3.4.
    MaximumQos(u8),
    /// Section 3.2.2.3.5.
    RetainAvailable(u8),
    /// Section 3.1.2.11.8.
    User(String, String),
    /// Bytes (section 3.1.2.11.4).
    MaximumPacketSize(u32),
    /// Section 3.2.2.3.11.
    WildcardAvailable(u8),
    /// Section 3.2.2.3.12.
    SubscriptionIdentifiersAvailable(u8),
    /// Section 3.2.2.3.13.
    SharedAvailable(u8),
}

impl Property {
    /// A user property.
    #[must_use]
    pub fn user(key: &str, value: &str) -> Self {
        Self::User(key.into(), value.into())
    }

    /// Identifier and value, as bytes.
    fn parts(&self) -> (u8, Vec<u8>) {
        match self {
            Self::PayloadFormat(v) => (0x01, vec![*v]),
            Self::MessageExpiry(v) => (0x02, v.to_be_bytes().into()),
            Self::ContentType(v) => (0x03, string(v)),
            Self::ResponseTopic(v) => (0x08, string(v)),
            Self::CorrelationData(v) => (0x09, binary(v)),
            Self::SubscriptionIdentifier(v) => (0x0B, varint(*v as usize)),
            Self::SessionExpiry(v) => (0x11, v.to_be_bytes().into()),
            Self::AssignedClientId(v) => (0x12, string(v)),
            Self::ServerKeepAlive(v) => (0x13, v.to_be_bytes().into()),
            Self::AuthenticationMethod(v) => (0x15, string(v)),
            Self::AuthenticationData(v) => (0x16, binary(v)),
            Self::RequestProblemInformation(v) => (0x17, vec![*v]),
            Self::WillDelay(v) => (0x18, v.to_be_bytes().into()),
            Self::RequestResponseInformation(v) => (0x19, vec![*v]),
            Self::ResponseInformation(v) => (0x1A, string(v)),
            Self::ServerReference(v) => (0x1C, string(v)),
            Self::ReasonString(v) => (0x1F, string(v)),
            Self::ReceiveMaximum(v) => (0x21, v.to_be_bytes().into()),
            Self::TopicAliasMaximum(v) => (0x22, v.to_be_bytes().into()),
            Self::TopicAlias(v) => (0x23, v.to_be_bytes().into()),
            Self::MaximumQos(v) => (0x24, vec![*v]),
            Self::RetainAvailable(v) => (0x25, vec![*v]),
            Self::User(k, v) => (0x26, [string(k), string(v)].concat()),
            Self::MaximumPacketSize(v) => (0x27, v.to_be_bytes().into()),
            Self::WildcardAvailable(v) => (0x28, vec![*v]),
            Self::SubscriptionIdentifiersAvailable(v) => (0x29, vec![*v]),
            Self::SharedAvailable(v) => (0x2A, vec![*v]),
        }
    }

    /// Appends the property.
    pub(super) fn append(&self, out: &mut Vec<u8>) {
        let (id, value) = self.parts();
        out.push(id);
        out.extend(value);
    }

    /// Reads the properties of a packet. Some packets leave them out when there are none.
    pub(super) fn read_all(rest: &mut Rest) -> Vec<Self> {
        if rest.is_empty() {
            return vec![];
        }
        let length = rest.varint();
        let mut rest = Rest(rest.take(length));
        let mut all = vec![];
        while !rest.is_empty() {
            all.push(Self::read(&mut rest));
        }
        all
    }

    /// Reads one property.
    fn read(rest: &mut Rest) -> Self {
        match rest.byte() {
            0x01 => Self::PayloadFormat(rest.byte()),
            0x02 => Self::MessageExpiry(rest.u32()),
            0x03 => Self::ContentType(rest.string()),
            0x08 => Self::ResponseTopic(rest.string()),
            0x09 => Self::CorrelationData(rest.binary()),
            0x0B => Self::SubscriptionIdentifier(rest.varint().try_into().unwrap()),
            0x11 => Self::SessionExpiry(rest.u32()),
            0x12 => Self::AssignedClientId(rest.string()),
            0x13 => Self::ServerKeepAlive(rest.u16()),
            0x15 => Self::AuthenticationMethod(rest.string()),
            0x16 => Self::AuthenticationData(rest.binary()),
            0x17 => Self::RequestProblemInformation(rest.byte()),
            0x18 => Self::WillDelay(rest.u32()),
            0x19 => Self::RequestResponseInformation(rest.byte()),
            0x1A => Self::ResponseInformation(rest.string()),
            0x1C => Self::ServerReference(rest.string()),
            0x1F => Self::ReasonString(rest.string()),
            0x21 => Self::ReceiveMaximum(rest.u16()),
            0x22 => Self::TopicAliasMaximum(rest.u16()),
            0x23 => Self::TopicAlias(rest.u16()),
            0x24 => Self::MaximumQos(rest.byte()),
            0x25 => Self::RetainAvailable(rest.byte()),
            0x26 => Self::User(rest.string(), rest.string()),
            0x27 => Self::MaximumPacketSize(rest.u32()),
            0x28 => Self::WildcardAvailable(rest.byte()),
            0x29 => Self::SubscriptionIdentifiersAvailable(rest.byte()),
            0x2A => Self::SharedAvailable(rest.byte()),
            unknown => panic!("no such property: {unknown:#04x}"),
        }
    }
}
