//! The forms that a message takes outside of this code: on the router, and where retained ones are kept.
//!
//! On the router a message is one opaque payload: the length of the header in four bytes, the header as JSON, and the
//! message's own payload. Kept, it has its [attributes](Attributes) as JSON.

use std::{
    borrow::Cow,
    sync::LazyLock,
    time::{Duration, Instant, SystemTime},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use herald_acl::TopicName;
use serde::{Deserialize, Serialize};

use super::{Message, SessionId};
use crate::{
    host::RetainedMessage,
    wire::{PublishProperties, Qos},
};

/// What times on the router are relative to.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Level and properties of a message. What is not set is left out, and what is unknown is passed over, so that they can
/// be read by other versions.
#[derive(Debug, Serialize, Deserialize)]
struct Attributes<'a> {
    qos: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    utf8: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_topic: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_data: Option<Cow<'a, [u8]>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    user: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// What a frame says besides the payload.
#[derive(Serialize, Deserialize)]
struct Header<'a> {
    id: u64,
    #[serde(borrow)]
    topic: Cow<'a, str>,
    retain: bool,
    origin: u64,
    /// Microseconds since [`EPOCH`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    #[serde(borrow)]
    attributes: Attributes<'a>,
}

impl<'a> Attributes<'a> {
    fn of(message: &'a Message) -> Self {
        let p = &message.properties;
        Self {
            qos: message.qos as u8,
            utf8: p.utf8,
            content_type: p.content_type.as_deref().map(Cow::Borrowed),
            response_topic: p.response_topic.as_deref().map(Cow::Borrowed),
            correlation_data: p.correlation_data.as_deref().map(Cow::Borrowed),
            user: p
                .user
                .iter()
                .map(|(k, v)| (Cow::Borrowed(&**k), Cow::Borrowed(&**v)))
                .collect(),
        }
    }

    fn qos(&self) -> Option<Qos> {
        [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce]
            .into_iter()
            .find(|qos| *qos as u8 == self.qos)
    }

    fn properties(self) -> PublishProperties {
        PublishProperties {
            utf8: self.utf8,
            message_expiry: None,
            content_type: self.content_type.map(Into::into),
            response_topic: self.response_topic.map(Into::into),
            correlation_data: self.correlation_data.map(|v| v.into_owned().into()),
            user: self
                .user
                .into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
        }
    }
}

/// What [`decode`] makes `message` of again.
pub(super) fn encode(message: &Message) -> Bytes {
    let header = Header {
        id: message.id,
        topic: message.topic.as_str().into(),
        retain: message.retain,
        origin: message.origin.0,
        expires: message
            .expires
            .map(|at| at.saturating_duration_since(*EPOCH).as_micros() as u64),
        attributes: Attributes::of(message),
    };
    let header = serde_json::to_vec(&header).expect("a header has no maps");
    let mut frame = BytesMut::with_capacity(4 + header.len() + message.payload.len());
    frame.put_u32(header.len() as u32);
    frame.put_slice(&header);
    frame.put_slice(&message.payload);
    frame.freeze()
}

/// The message that [`encode`] was given; `None` for anything else.
pub(super) fn decode(frame: &Bytes) -> Option<Message> {
    let mut frame = frame.clone();
    let length = frame.try_get_u32().ok()? as usize;
    if frame.len() < length {
        return None;
    }
    let header = frame.split_to(length);
    let header: Header<'_> = serde_json::from_slice(&header).ok()?;
    Some(Message {
        id: header.id,
        topic: TopicName::parse(&*header.topic).ok()?,
        payload: frame,
        qos: header.attributes.qos()?,
        retain: header.retain,
        expires: header.expires.map(|us| *EPOCH + Duration::from_micros(us)),
        properties: header.attributes.properties(),
        origin: SessionId(header.origin),
    })
}

/// `message` as it is kept.
pub(super) fn to_kept(message: &Message) -> RetainedMessage {
    let attributes = Attributes::of(message);
    RetainedMessage {
        topic: message.topic.as_str().to_owned(),
        payload: message.payload.clone(),
        attributes: serde_json::to_string(&attributes).expect("attributes have no maps"),
        expires_at: message
            .expires
            .map(|at| SystemTime::now() + at.saturating_duration_since(Instant::now())),
    }
}

/// The message that was kept as `kept`; an error says why it is none.
pub(super) fn from_kept(kept: RetainedMessage) -> Result<Message, String> {
    let topic = TopicName::parse(&kept.topic).map_err(|e| e.to_string())?;
    let attributes: Attributes<'_> =
        // What the parser says may quote what a client has sent.
        serde_json::from_str(&kept.attributes).map_err(|_| "its attributes cannot be read")?;
    if kept.payload.is_empty() {
        return Err("it has no payload".into());
    }
    // What lasts longer than clocks can count lasts for ever.
    let expires = kept.expires_at.and_then(|at| {
        Instant::now().checked_add(at.duration_since(SystemTime::now()).unwrap_or_default())
    });
    Ok(Message {
        id: Message::next_id(),
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
    use super::*;

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
    fn a_message_comes_off_the_router_as_it_went_on() {
        let expiring = Message {
            expires: Some(*EPOCH + Duration::from_secs(5)),
            ..rich()
        };
        for message in [rich(), expiring, Message::sample()] {
            let decoded = decode(&encode(&message)).unwrap();
            assert_eq!(format!("{decoded:?}"), format!("{message:?}"));
        }
    }

    #[test]
    fn what_is_not_a_message_is_not_taken_for_one() {
        let frame = encode(&rich());
        for bytes in [
            &[][..],
            b"\0\0\0",
            b"\0\0\0\x01",
            b"\0\0\0\x02{}",
            &frame[..40],
        ] {
            assert!(
                decode(&Bytes::copy_from_slice(bytes)).is_none(),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_kept_message_is_the_same_again() {
        let message = rich();
        let kept = to_kept(&message);
        let mut again = from_kept(kept.clone()).unwrap();
        (again.id, again.origin) = (message.id, message.origin);
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
