//! The form in which the host keeps a retained message.

use std::time::{Instant, SystemTime};

use herald_acl::TopicName;

use crate::{attributes::Attributes, host::RetainedMessage, ids::SessionId, message::Message};

/// `message` as it is kept.
pub(super) fn to_kept(message: &Message) -> RetainedMessage {
    let attributes = Attributes::of(message.qos, &message.properties);
    RetainedMessage {
        topic: message.topic.as_str().to_owned(),
        payload: message.payload.clone(),
        attributes: serde_json::to_string(&attributes).expect("attributes have no maps"),
        expires_at: message
            .expires
            .map(|at| SystemTime::now() + at.saturating_duration_since(Instant::now())),
    }
}

/// Whether `message` is what was kept as `kept`; when it expires is about the same for whoever wrote the same.
pub(super) fn is_kept_as(message: &Message, kept: &RetainedMessage) -> bool {
    message.payload == kept.payload
        && message.expires.is_some() == kept.expires_at.is_some()
        && to_kept(message).attributes == kept.attributes
}

/// The message that was kept as `kept`; an error names what is wrong with it.
pub(super) fn from_kept(kept: RetainedMessage) -> Result<Message, String> {
    let topic = TopicName::parse(&kept.topic).map_err(|e| e.to_string())?;
    let attributes: Attributes<'_> =
        // The parser's message may quote what a client has sent.
        serde_json::from_str(&kept.attributes).map_err(|_| "its attributes cannot be read")?;
    if kept.payload.is_empty() {
        return Err("it has no payload".into());
    }
    // What lasts longer than clocks can count lasts for ever.
    let expires = kept.expires_at.and_then(|at| {
        Instant::now().checked_add(at.duration_since(SystemTime::now()).unwrap_or_default())
    });
    Ok(Message {
        seq: 0,
        topic,
        payload: kept.payload,
        qos: attributes.qos().ok_or("its level is unknown")?,
        retain: true,
        properties: attributes.properties(),
        // No session of this process.
        origin: SessionId::next(),
        expires,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::{PublishProperties, Qos};

    fn rich() -> Message {
        Message {
            topic: TopicName::parse("räume/\"1\"").unwrap(),
            payload: "\0x".into(),
            qos: Qos::ExactlyOnce,
            retain: true,
            properties: PublishProperties {
                utf8: Some(true),
                message_expiry: None,
                content_type: Some("text/plain".into()),
                response_topic: Some("räume/2".into()),
                correlation_data: Some(Bytes::from_static(&[0, 255])),
                user: vec![("k".into(), "\"v\\".into()), ("k".into(), "".into())],
            },
            ..Message::sample()
        }
    }

    #[test]
    fn a_kept_message_is_the_same_again() {
        let message = rich();
        let kept = to_kept(&message);
        let mut again = from_kept(kept.clone()).unwrap();
        again.origin = message.origin;
        assert_eq!(format!("{again:?}"), format!("{message:?}"));
        for (attributes, payload) in [("", "x"), (r#"{"qos":3}"#, "x"), (r#"{"qos":1}"#, "")] {
            let bad = RetainedMessage {
                attributes: attributes.into(),
                payload: payload.into(),
                ..kept.clone()
            };
            assert!(from_kept(bad).is_err());
        }
    }
}
