//! The embedded `rumqttd` behind a small, safe surface.
//!
//! What its 0.20.0 source makes necessary:
//! - a publish that matches no filter disconnects its link: one filter that matches all is made at start;
//! - it slices topics at byte 1, and treats a leading `$` apart: every topic goes behind [`PREFIX`];
//! - an empty payload is not forwarded as such to the retained store only: the marker property says that it was empty;
//! - local links publish at QoS 0: level, retain flag and origin travel in a user property of ours;
//! - `LinkRx::next` may answer `None`, and `Unschedule` must be answered with `wake`;
//! - a link that lags jumps ahead silently: the log offsets that come with each message show it;
//! - the ids of all links ever made are remembered: ours are numbered from a small pool that never grows past the rules.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use herald_acl::{TopicFilter, TopicName};
use rumqttd::{
    Broker, Config, Notification, RouterConfig,
    local::{LinkRx, LinkTx},
    protocol::{Disconnect, DisconnectReasonCode, Packet, Publish, PublishProperties},
};

use super::{BusError, Message, SessionId};
use crate::wire::Qos;

/// Before every topic and filter on the router.
const PREFIX: &str = "h/";

/// Names the user property that carries what a router message has no field for.
const META: &str = "herald";

/// What stands for an empty payload.
const EMPTY: &[u8] = b"\0";

/// How long the router may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The router, which runs on a thread of its own until the process ends.
pub(super) struct Router {
    broker: Arc<Broker>,
    links: AtomicUsize,
    started: Instant,
}

impl Router {
    pub(super) fn start() -> Self {
        let router = RouterConfig {
            max_connections: 1024,
            max_outgoing_packet_count: 200,
            max_segment_size: 4 * 1024 * 1024,
            max_segment_count: 4,
            initialized_filters: Some(vec![format!("{PREFIX}#")]),
            ..RouterConfig::default()
        };
        Self {
            broker: Arc::new(Broker::new(Config {
                router,
                ..Config::default()
            })),
            links: AtomicUsize::new(0),
            started: Instant::now(),
        }
    }

    /// Opens a link of our own.
    pub(super) async fn link(&self) -> Result<Link, BusError> {
        let id = format!("link-{}", self.links.fetch_add(1, Ordering::Relaxed));
        let broker = self.broker.clone();
        // The router answers over a blocking channel.
        let opening = tokio::task::spawn_blocking(move || broker.link(&id).ok());
        let (tx, rx) = tokio::time::timeout(ANSWER, opening)
            .await
            .ok()
            .and_then(Result::ok)
            .flatten()
            .ok_or(BusError::Unavailable)?;
        Ok(Link {
            tx,
            rx,
            started: self.started,
            offset: None,
        })
    }
}

/// What a link received.
pub(super) struct Received {
    pub(super) message: Arc<Message>,
    /// Messages that the router skipped before this one.
    pub(super) lost: u64,
}

/// One local connection to the router.
pub(super) struct Link {
    tx: LinkTx,
    rx: LinkRx,
    started: Instant,
    /// Offset of the last message in the log of the link's filter.
    offset: Option<u64>,
}

impl Link {
    pub(super) async fn publish(&mut self, message: &Message) -> Result<(), BusError> {
        let payload = if message.payload.is_empty() {
            Bytes::from_static(EMPTY)
        } else {
            message.payload.clone()
        };
        let topic = Bytes::from(format!("{PREFIX}{}", message.topic.as_str()));
        let packet = Packet::Publish(
            Publish::new(topic, payload, false),
            Some(encode(message, self.started)),
        );
        self.tx
            .send(packet)
            .await
            .map(|_| ())
            .map_err(|_| BusError::Unavailable)
    }

    /// Subscribes the link; resolves once the router has it.
    pub(super) async fn subscribe(&mut self, scope: &TopicFilter) -> Result<(), BusError> {
        self.tx
            .subscribe(format!("{PREFIX}{}", scope.as_str()))
            .map_err(|_| BusError::Unavailable)?;
        let answered = async {
            loop {
                match self.rx.next().await {
                    Ok(Some(Notification::DeviceAck(_))) => return Ok(()),
                    Ok(_) => {}
                    Err(_) => return Err(BusError::Unavailable),
                }
            }
        };
        tokio::time::timeout(ANSWER, answered)
            .await
            .map_err(|_| BusError::Unavailable)?
    }

    /// The next message. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Received, BusError> {
        loop {
            match self.rx.next().await {
                Ok(Some(Notification::Forward(forward))) => {
                    let offset = forward.cursor.map(|(_, offset)| offset);
                    let lost = match (self.offset, offset) {
                        (Some(last), Some(now)) => now.saturating_sub(last + 1),
                        _ => 0,
                    };
                    self.offset = offset.or(self.offset);
                    match decode(forward.publish, forward.properties, self.started) {
                        Some(message) => {
                            return Ok(Received {
                                message: Arc::new(message),
                                lost,
                            });
                        }
                        None => tracing::error!("a message on the router was not ours; dropped"),
                    }
                }
                Ok(Some(Notification::Unschedule)) => {
                    self.rx.wake().await.map_err(|_| BusError::Unavailable)?;
                }
                Ok(Some(Notification::Disconnect(..))) | Err(_) => {
                    return Err(BusError::Unavailable);
                }
                Ok(_) => {}
            }
        }
    }

    pub(super) async fn close(mut self) {
        let goodbye = Disconnect {
            reason_code: DisconnectReasonCode::NormalDisconnection,
        };
        // The router may be gone already, and then so is the link.
        let _ = self.tx.send(Packet::Disconnect(goodbye, None)).await;
    }
}

/// `{origin} {qos} {retain} {empty} {expires}`, the last in milliseconds since the router started, or `-`.
fn encode(message: &Message, started: Instant) -> PublishProperties {
    let p = &message.properties;
    let expires = message.expires.map_or("-".to_owned(), |at| {
        at.saturating_duration_since(started)
            .as_millis()
            .to_string()
    });
    let meta = format!(
        "{} {} {} {} {expires}",
        message.origin.0,
        message.qos as u8,
        u8::from(message.retain),
        u8::from(message.payload.is_empty()),
    );
    let mut user_properties = vec![(META.to_owned(), meta)];
    user_properties.extend(p.user.iter().map(|(k, v)| (k.to_string(), v.to_string())));
    PublishProperties {
        payload_format_indicator: p.utf8.then_some(1),
        response_topic: p.response_topic.as_deref().map(str::to_owned),
        correlation_data: p.correlation_data.clone(),
        user_properties,
        content_type: p.content_type.as_deref().map(str::to_owned),
        ..PublishProperties::default()
    }
}

/// The message that [`encode`] was given; `None` for anything else.
fn decode(
    publish: Publish,
    properties: Option<PublishProperties>,
    started: Instant,
) -> Option<Message> {
    let p = properties?;
    let topic = std::str::from_utf8(&publish.topic).ok()?;
    let topic = TopicName::parse(topic.strip_prefix(PREFIX)?).ok()?;
    let mut user = p.user_properties.into_iter();
    let (_, meta) = user.next().filter(|(key, _)| key == META)?;
    let mut meta = meta.split(' ');
    let origin = SessionId(meta.next()?.parse().ok()?);
    let qos = match meta.next()? {
        "0" => Qos::AtMostOnce,
        "1" => Qos::AtLeastOnce,
        "2" => Qos::ExactlyOnce,
        _ => return None,
    };
    let retain = meta.next()? == "1";
    let empty = meta.next()? == "1";
    let expires = match meta.next()? {
        "-" => None,
        ms => Some(started + Duration::from_millis(ms.parse().ok()?)),
    };
    Some(Message {
        topic,
        payload: if empty { Bytes::new() } else { publish.payload },
        qos,
        retain,
        properties: crate::wire::PublishProperties {
            utf8: p.payload_format_indicator == Some(1),
            message_expiry: None,
            content_type: p.content_type.map(Into::into),
            response_topic: p.response_topic.map(Into::into),
            correlation_data: p.correlation_data,
            user: user.map(|(k, v)| (k.into(), v.into())).collect(),
        },
        origin,
        expires,
    })
}
