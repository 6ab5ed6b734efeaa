//! PUBLISH.

use bytes::Bytes;
use mqtt_protocol_core::mqtt::packet::{Property, v3_1_1, v5_0};

use crate::wire::incoming::{Publish, PublishProperties};

pub(super) fn publish_v3(p: &v3_1_1::Publish) -> Publish {
    Publish {
        packet_id: p.packet_id(),
        topic: p.topic_name().to_owned(),
        payload: Bytes::copy_from_slice(p.payload().as_slice()),
        qos: p.qos(),
        retain: p.retain(),
        properties: PublishProperties::default(),
    }
}

pub(super) fn publish_v5(p: &v5_0::Publish) -> Publish {
    Publish {
        packet_id: p.packet_id(),
        topic: p.topic_name().to_owned(),
        payload: Bytes::copy_from_slice(p.payload().as_slice()),
        qos: p.qos(),
        retain: p.retain(),
        properties: publish_properties(p.props()),
    }
}

pub(super) fn publish_properties(props: &[Property]) -> PublishProperties {
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
