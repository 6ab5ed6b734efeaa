//! Wills as they are written down where there are several servers, and those of servers that are gone.

use std::{borrow::Cow, net::SocketAddr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{client::Client, context::Context, will};
use crate::{
    attributes::Attributes,
    host::{HostError, Identity},
    ids::SessionId,
    live_sessions::{Link, Origin, Protocol, Transport},
    owners::KeptWill,
    state::Will,
    wire::{self, Publish, PublishProperties},
};

/// A will as JSON. What is not set is left out, and what is unknown is passed over, so that other versions can read it.
#[derive(Serialize, Deserialize)]
struct Form<'a> {
    topic: Cow<'a, str>,
    #[serde(default)]
    retain: bool,
    /// Text as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<Cow<'a, [u8]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_expiry: Option<u32>,
    #[serde(borrow)]
    attributes: Attributes<'a>,
}

/// `will`, of a client whose session outlives the connection for `expiry` seconds: it is due then (MQTT 5 section 3.1.3.2.2).
pub(super) fn to_kept(will: &wire::Will, expiry: u32) -> KeptWill {
    let text = str::from_utf8(&will.payload).ok();
    let form = Form {
        topic: Cow::Borrowed(&will.topic),
        retain: will.retain,
        text: text.map(Cow::Borrowed),
        bytes: text.is_none().then(|| Cow::Borrowed(&will.payload[..])),
        message_expiry: will.properties.message_expiry,
        attributes: Attributes::of(will.qos, &will.properties),
    };
    KeptWill {
        delay: Duration::from_secs(will.delay.min(expiry).into()),
        text: serde_json::to_string(&form).expect("a will has no maps"),
    }
}

fn from_kept(text: &str) -> Option<Publish> {
    let form: Form<'_> = serde_json::from_str(text).ok()?;
    let payload = match (form.text, form.bytes) {
        (Some(text), _) => text.into_owned().into(),
        (None, bytes) => bytes.unwrap_or_default().into_owned().into(),
    };
    Some(Publish {
        packet_id: None,
        topic: form.topic.into_owned(),
        payload,
        qos: form.attributes.qos()?,
        retain: form.retain,
        properties: PublishProperties {
            message_expiry: form.message_expiry,
            ..form.attributes.properties()
        },
    })
}

/// Publishes the will of a client of another server that is gone, if the ACL lets it.
pub(crate) async fn publish_kept(
    ctx: &Arc<Context>,
    identity: Identity,
    client_id: Arc<str>,
    peer: SocketAddr,
    text: &str,
) -> Result<(), HostError> {
    // The text is what a client has sent.
    let publish = from_kept(text).ok_or_else(|| HostError("a will cannot be read".into()))?;
    let origin = Origin {
        peer,
        transport: Transport::Tcp,
    };
    let client = Client {
        identity,
        id: client_id,
        session: SessionId::BROKER,
        link: Arc::new(Link::new(origin, Protocol::V5, 0)),
    };
    let will = Will {
        delay: Duration::ZERO,
        publish,
        written: None,
    };
    will::publish(ctx, &client, Some(Box::new(will))).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::Qos;

    fn will(payload: &'static [u8]) -> wire::Will {
        wire::Will {
            topic: "rooms/\u{1F3E0}".into(),
            payload: Bytes::from_static(payload),
            qos: Qos::ExactlyOnce,
            retain: true,
            delay: 30,
            properties: PublishProperties {
                utf8: Some(true),
                message_expiry: Some(60),
                content_type: Some("text/plain".into()),
                response_topic: Some("answers".into()),
                correlation_data: Some(Bytes::from_static(&[0, 0xFF])),
                user: vec![("a".into(), "1".into()), ("a".into(), "\0".into())],
            },
        }
    }

    #[test]
    fn a_will_is_read_as_it_was_written() {
        for payload in [&b""[..], b"gone", b"\0\"", &[0xFF, 0]] {
            let will = will(payload);
            let kept = to_kept(&will, 3600);
            assert_eq!(kept.delay, Duration::from_secs(30));
            let read = from_kept(&kept.text).unwrap();
            assert_eq!(read.topic, will.topic);
            assert_eq!(read.payload, will.payload);
            assert_eq!((read.qos, read.retain), (will.qos, will.retain));
            assert_eq!(read.properties, will.properties);
        }
    }

    #[test]
    fn a_will_is_due_when_its_session_ends() {
        assert_eq!(to_kept(&will(b"gone"), 7).delay, Duration::from_secs(7));
    }

    #[test]
    fn what_no_server_has_written_is_no_will() {
        for text in ["", "{}", r#"{"topic":"x","attributes":{"qos":3}}"#] {
            assert!(from_kept(text).is_none(), "{text:?}");
        }
    }
}
