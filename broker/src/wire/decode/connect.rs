//! CONNECT.

use bytes::Bytes;
use mqtt_protocol_core::mqtt::packet::{Property, v3_1_1, v5_0};

use super::publish::publish_properties;
use crate::wire::incoming::{Connect, PublishProperties, Will};

pub(super) fn connect_v3(p: &v3_1_1::Connect) -> Connect {
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

pub(super) fn connect_v5(p: &v5_0::Connect) -> Connect {
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
