//! Packets received, without their version.

use std::{num::NonZeroU32, sync::Arc};

use bytes::Bytes;
use mqtt_protocol_core::mqtt::{
    packet::{Packet, Property, Qos, v3_1_1, v5_0},
    result_code::MqttError,
};

pub(crate) use mqtt_protocol_core::mqtt::packet::RetainHandling;

use super::{UserProperties, strict};

/// A packet from the client that the session has to act on.
#[derive(Debug)]
pub(crate) enum Incoming {
    Connect(Box<Connect>),
    Publish(Publish),
    Puback {
        packet_id: u16,
    },
    /// The first answer to a QoS 2 PUBLISH; `refused`: it is also the last (MQTT 5 section 4.3.3).
    Pubrec {
        packet_id: u16,
        refused: bool,
    },
    Pubrel {
        packet_id: u16,
    },
    Pubcomp {
        packet_id: u16,
    },
    /// A QoS 2 PUBLISH that has been received already, and answered.
    Repeated,
    Subscribe(Subscribe),
    Unsubscribe {
        packet_id: u16,
        filters: Vec<String>,
    },
    /// `with_will`: the will is to be published all the same, as reason 0x00 alone deletes it (MQTT 5 sections 3.1.2.5 and
    /// 3.14.4).
    Disconnect {
        with_will: bool,
        /// The session expiry interval in seconds, if it is to be another from now on (MQTT 5 section 3.14.2.2.2).
        session_expiry: Option<u32>,
    },
    /// PINGRESP has been queued already.
    Pingreq,
    /// AUTH, which no CONNECT that was accepted may lead to, or a packet that only a server sends.
    Unsupported,
}

/// CONNECT.
#[derive(Debug)]
pub(crate) struct Connect {
    pub(crate) client_id: String,
    /// Clean session (3.1.1) or clean start (5).
    pub(crate) clean: bool,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) will: Option<Will>,
    /// MQTT 5: the session expiry interval in seconds. 3.1.1: 0, or the longest for clean session 0.
    pub(crate) session_expiry: u32,
    /// MQTT 5: wants enhanced authentication.
    pub(crate) authentication_method: bool,
    /// The largest packet that the client takes, in bytes.
    pub(crate) maximum_packet_size: u32,
    /// QoS 1 PUBLISHes that the client takes unacknowledged.
    pub(crate) receive_maximum: u16,
    /// MQTT 5: wants reason strings.
    pub(crate) problem_information: bool,
    /// MQTT 5: asks for response information (section 3.1.2.11.6).
    pub(crate) response_information: bool,
    /// MQTT 5: how many topic aliases the client takes (section 3.1.2.11.5).
    pub(crate) topic_alias_maximum: u16,
    /// Seconds; 0 for none.
    pub(crate) keep_alive: u16,
}

/// The will, which becomes a PUBLISH if the connection ends without a clean DISCONNECT.
#[derive(Debug)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    /// MQTT 5: seconds (section 3.1.3.2.2).
    pub(crate) delay: u32,
    pub(crate) properties: PublishProperties,
}

/// PUBLISH.
#[derive(Debug)]
pub(crate) struct Publish {
    /// `None` for QoS 0.
    pub(crate) packet_id: Option<u16>,
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) properties: PublishProperties,
}

/// The properties of a PUBLISH that are passed on to subscribers unaltered (MQTT 5 section 3.3.2.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PublishProperties {
    /// Whether the payload is UTF-8 text, if it is said.
    pub(crate) utf8: Option<bool>,
    /// Seconds.
    pub(crate) message_expiry: Option<u32>,
    pub(crate) content_type: Option<Arc<str>>,
    pub(crate) response_topic: Option<Arc<str>>,
    pub(crate) correlation_data: Option<Bytes>,
    pub(crate) user: UserProperties,
}

/// SUBSCRIBE.
#[derive(Debug)]
pub(crate) struct Subscribe {
    pub(crate) packet_id: u16,
    pub(crate) subscriptions: Vec<Subscription>,
    /// MQTT 5 section 3.8.2.1.2.
    pub(crate) identifier: Option<NonZeroU32>,
    /// The user property `after`: start the inbox behind this number. `Err` when it is not a number.
    pub(crate) after: Option<Result<i64, ()>>,
    /// The user property `epoch`: what that number counts in.
    pub(crate) epoch: Option<Box<str>>,
}

/// One filter of a SUBSCRIBE with its options (MQTT 5 section 3.8.3.1).
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) filter: String,
    pub(crate) qos: Qos,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) retain_handling: RetainHandling,
}

/// The packet, which came in `bytes`, without its version; an error if it is one that MQTT does not allow and the core lets
/// through.
pub(super) fn incoming(packet: Packet, bytes: usize) -> Result<Incoming, MqttError> {
    strict::check(&packet, bytes)?;
    Ok(match packet {
        Packet::V3_1_1Connect(p) => Incoming::Connect(Box::new(connect_v3(&p))),
        Packet::V5_0Connect(p) => Incoming::Connect(Box::new(connect_v5(&p))),
        Packet::V3_1_1Publish(p) => Incoming::Publish(Publish {
            packet_id: p.packet_id(),
            topic: p.topic_name().to_owned(),
            payload: Bytes::copy_from_slice(p.payload().as_slice()),
            qos: p.qos(),
            retain: p.retain(),
            properties: PublishProperties::default(),
        }),
        Packet::V5_0Publish(p) => Incoming::Publish(Publish {
            packet_id: p.packet_id(),
            topic: p.topic_name().to_owned(),
            payload: Bytes::copy_from_slice(p.payload().as_slice()),
            qos: p.qos(),
            retain: p.retain(),
            properties: publish_properties(p.props()),
        }),
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
            // MQTT 5 section 4.3.3: below that, the flow goes on.
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
        Packet::V3_1_1Subscribe(p) => Incoming::Subscribe(Subscribe {
            packet_id: p.packet_id(),
            subscriptions: p
                .entries()
                .iter()
                .map(|e| Subscription {
                    filter: e.topic_filter().to_owned(),
                    qos: e.sub_opts().qos(),
                    no_local: false,
                    retain_as_published: false,
                    retain_handling: RetainHandling::SendRetained,
                })
                .collect(),
            identifier: None,
            after: None,
            epoch: None,
        }),
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

/// What a bridge that speaks MQTT 3.1.1 subscribes to is as it would be with the options of MQTT 5.
pub(super) fn as_bridge(incoming: &mut Option<Incoming>) {
    if let Some(Incoming::Subscribe(subscribe)) = incoming {
        for subscription in &mut subscribe.subscriptions {
            // A shared subscription has no no-local (MQTT 5 section 3.8.3.1).
            subscription.no_local = !subscription.filter.starts_with("$share/");
            subscription.retain_as_published = true;
        }
    }
}

fn connect_v3(p: &v3_1_1::Connect) -> Connect {
    Connect {
        client_id: p.client_id().to_owned(),
        clean: p.clean_session(),
        username: p.user_name().map(str::to_owned),
        password: p.password().map(<[u8]>::to_vec),
        will: p.will_topic().map(|topic| Will {
            topic: topic.to_owned(),
            payload: Bytes::copy_from_slice(p.will_payload().unwrap_or_default()),
            qos: p.will_qos(),
            retain: p.will_retain(),
            delay: 0,
            properties: PublishProperties::default(),
        }),
        session_expiry: if p.clean_session() { 0 } else { u32::MAX },
        authentication_method: false,
        problem_information: true,
        response_information: false,
        topic_alias_maximum: 0,
        keep_alive: p.keep_alive(),
        maximum_packet_size: u32::MAX,
        receive_maximum: u16::MAX,
    }
}

fn connect_v5(p: &v5_0::Connect) -> Connect {
    let mut session_expiry = 0;
    let mut authentication_method = false;
    let mut problem_information = true;
    let mut maximum_packet_size = u32::MAX;
    let mut receive_maximum = u16::MAX;
    let mut response_information = false;
    let mut topic_alias_maximum = 0;
    for prop in p.props() {
        match prop {
            Property::SessionExpiryInterval(v) => session_expiry = v.val(),
            Property::AuthenticationMethod(_) => authentication_method = true,
            Property::MaximumPacketSize(v) => maximum_packet_size = v.val(),
            Property::ReceiveMaximum(v) => receive_maximum = v.val(),
            Property::RequestProblemInformation(v) => problem_information = v.val() != 0,
            Property::RequestResponseInformation(v) => response_information = v.val() != 0,
            Property::TopicAliasMaximum(v) => topic_alias_maximum = v.val(),
            _ => {}
        }
    }
    Connect {
        client_id: p.client_id().to_owned(),
        clean: p.clean_start(),
        username: p.user_name().map(str::to_owned),
        password: p.password().map(<[u8]>::to_vec),
        will: p.will_topic().map(|topic| Will {
            topic: topic.to_owned(),
            payload: Bytes::copy_from_slice(p.will_payload().unwrap_or_default()),
            qos: p.will_qos(),
            retain: p.will_retain(),
            delay: will_delay(p.will_props()),
            properties: publish_properties(p.will_props()),
        }),
        session_expiry,
        authentication_method,
        maximum_packet_size,
        receive_maximum,
        problem_information,
        response_information,
        topic_alias_maximum,
        keep_alive: p.keep_alive(),
    }
}

fn will_delay(props: &[Property]) -> u32 {
    let delay = props.iter().find_map(|p| match p {
        Property::WillDelayInterval(v) => Some(v.val()),
        _ => None,
    });
    delay.unwrap_or(0)
}

fn publish_properties(props: &[Property]) -> PublishProperties {
    let mut out = PublishProperties::default();
    for prop in props {
        match prop {
            Property::PayloadFormatIndicator(v) => out.utf8 = Some(v.val() == 1),
            Property::MessageExpiryInterval(v) => out.message_expiry = Some(v.val()),
            Property::ContentType(v) => out.content_type = Some(v.val().into()),
            Property::ResponseTopic(v) => out.response_topic = Some(v.val().into()),
            Property::CorrelationData(v) => {
                out.correlation_data = Some(Bytes::copy_from_slice(v.val()));
            }
            Property::UserProperty(v) => out.user.push((v.key().into(), v.val().into())),
            _ => {}
        }
    }
    out
}

fn subscribe_v5(p: &v5_0::Subscribe) -> Subscribe {
    let mut identifier = None;
    let mut after = None;
    let mut epoch = None;
    for prop in p.props() {
        match prop {
            Property::SubscriptionIdentifier(v) => identifier = NonZeroU32::new(v.val()),
            Property::UserProperty(v) if v.key() == "after" => {
                after = Some(v.val().parse().ok().filter(|n| *n >= 0).ok_or(()));
            }
            Property::UserProperty(v) if v.key() == "epoch" => epoch = Some(v.val().into()),
            _ => {}
        }
    }
    Subscribe {
        packet_id: p.packet_id(),
        subscriptions: p
            .entries()
            .iter()
            .map(|e| Subscription {
                filter: e.topic_filter().to_owned(),
                qos: e.sub_opts().qos(),
                no_local: e.sub_opts().nl(),
                retain_as_published: e.sub_opts().rap(),
                retain_handling: e.sub_opts().rh(),
            })
            .collect(),
        identifier,
        after,
        epoch,
    }
}
