//! Refuses what MQTT does not allow in a packet and the core lets through.

use mqtt_protocol_core::mqtt::{
    packet::{GenericPacketTrait as _, Packet, Property, RetainHandling, SubEntry, v3_1_1, v5_0},
    result_code::MqttError,
};

/// The check of one packet.
type Checked = Result<(), MqttError>;

/// Checks a packet from a client that the core has parsed from `bytes` bytes.
pub(super) fn check(packet: &Packet, bytes: usize) -> Checked {
    length(packet, bytes)?;
    match packet {
        Packet::V3_1_1Publish(p) => publish(p.topic_name(), p.packet_id()),
        Packet::V5_0Publish(p) => {
            publish(p.topic_name(), p.packet_id())?;
            response_topic(p.props())?;
            // Only a server names subscriptions (MQTT 5 section 3.3.4-6).
            refuse_if(subscription_identifiers(p.props()) > 0)?;
            properties(p.props())
        }
        Packet::V3_1_1Pubrel(p) => identifier(p.packet_id()),
        Packet::V5_0Pubrel(p) => identifier(p.packet_id()),
        Packet::V3_1_1Subscribe(p) => subscribe_v3(p),
        Packet::V5_0Subscribe(p) => subscribe_v5(p),
        Packet::V3_1_1Unsubscribe(p) => {
            identifier(p.packet_id())?;
            p.entries().iter().try_for_each(|e| text(e.as_str()))
        }
        Packet::V5_0Unsubscribe(p) => {
            identifier(p.packet_id())?;
            p.entries().iter().try_for_each(|e| text(e.as_str()))?;
            properties(p.props())
        }
        Packet::V3_1_1Connect(p) => {
            text(p.client_id())?;
            p.user_name().map_or(Ok(()), text)?;
            // There is no code for what is malformed (MQTT 3.1.1 section 3.1.4-1).
            p.will_topic().map_or(Ok(()), topic_name)
        }
        Packet::V5_0Connect(p) => {
            text(p.client_id())?;
            p.user_name().map_or(Ok(()), text)?;
            p.will_topic().map_or(Ok(()), topic_name)?;
            response_topic(p.will_props())?;
            // MQTT 5 section 3.1.2.11.10.
            let has = |wanted: fn(&Property) -> bool| p.props().iter().any(wanted);
            let data = has(|p| matches!(p, Property::AuthenticationData(_)));
            let method = has(|p| matches!(p, Property::AuthenticationMethod(_)));
            refuse_if(data && !method)?;
            properties(p.props())?;
            properties(p.will_props())
        }
        Packet::V5_0Disconnect(p) => {
            let code = p.reason_code().map_or(0, |code| code as u8);
            // Codes and a property of servers (MQTT 5 sections 3.14.2.1 and 3.14.2.2.5).
            refuse_if(!matches!(code, 0 | 4 | 0x80..=0x83 | 0x90 | 0x93..=0x99))?;
            let elsewhere = |p: &Property| matches!(p, Property::ServerReference(_));
            refuse_if(p.props().iter().flatten().any(elsewhere))
        }
        _ => Ok(()),
    }
}

/// A packet has nothing behind its last field, and its lengths take no more bytes than they need (MQTT 5 sections 1.5.5 and
/// 2.1.4).
fn length(packet: &Packet, bytes: usize) -> Checked {
    match packet {
        // The payload is all that is left. And where there was only a topic alias, the core has put the topic.
        Packet::V3_1_1Publish(_) | Packet::V5_0Publish(_) => Ok(()),
        _ if packet.size() == bytes => Ok(()),
        _ => Err(MqttError::MalformedPacket),
    }
}

/// MQTT 5 sections 3.3.2.1 and 2.2.1.
fn publish(topic: &str, packet_id: Option<u16>) -> Checked {
    // There was no alias either (MQTT 5 section 3.3.2.1).
    refuse_if(topic.is_empty())?;
    topic_name(topic)?;
    packet_id.map_or(Ok(()), identifier)
}

/// MQTT 5 section 4.7.1: at least one character, and no wildcards. The number of levels is not checked here.
fn topic_name(topic: &str) -> Checked {
    text(topic)?;
    if topic.is_empty() || topic.contains(['+', '#']) {
        return Err(MqttError::TopicNameInvalid);
    }
    Ok(())
}

/// MQTT 5 section 3.3.2-14.
fn response_topic(props: &[Property]) -> Checked {
    props.iter().try_for_each(|p| match p {
        Property::ResponseTopic(topic) => topic_name(topic.val()),
        _ => Ok(()),
    })
}

fn subscribe_v3(p: &v3_1_1::Subscribe) -> Checked {
    identifier(p.packet_id())?;
    for entry in p.entries() {
        filter(entry)?;
        let options = entry.sub_opts();
        // MQTT 3.1.1 section 3.8.3-4: these bits are reserved.
        let handling = options.rh() != RetainHandling::SendRetained;
        if options.nl() || options.rap() || handling {
            return Err(MqttError::MalformedPacket);
        }
    }
    Ok(())
}

fn subscribe_v5(p: &v5_0::Subscribe) -> Checked {
    identifier(p.packet_id())?;
    p.entries().iter().try_for_each(filter)?;
    // MQTT 5 section 3.8.2.1.2.
    refuse_if(subscription_identifiers(p.props()) > 1)?;
    properties(p.props())
}

fn filter(entry: &SubEntry) -> Checked {
    text(entry.topic_filter())
}

/// MQTT 5 section 2.2.1-3: a packet identifier is not 0.
fn identifier(packet_id: u16) -> Checked {
    refuse_if(packet_id == 0)
}

/// MQTT 5 section 1.5.4-2: text does not hold U+0000.
fn text(text: &str) -> Checked {
    if text.contains('\0') {
        Err(MqttError::MalformedPacket)
    } else {
        Ok(())
    }
}

fn properties(props: &[Property]) -> Checked {
    props.iter().try_for_each(|p| match p {
        Property::ContentType(v) => text(v.val()),
        Property::ResponseTopic(v) => text(v.val()),
        Property::UserProperty(v) => text(v.key()).and_then(|()| text(v.val())),
        _ => Ok(()),
    })
}

fn subscription_identifiers(props: &[Property]) -> usize {
    let is_one = |p: &&Property| matches!(p, Property::SubscriptionIdentifier(_));
    props.iter().filter(is_one).count()
}

fn refuse_if(wrong: bool) -> Checked {
    if wrong {
        Err(MqttError::ProtocolError)
    } else {
        Ok(())
    }
}
