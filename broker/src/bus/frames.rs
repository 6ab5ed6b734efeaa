//! What servers tell each other of shared topics: a line of JSON, and behind it the payload, if there is one.
//!
//! Servers of two versions may run beside one another for a while: one that does not know a frame leaves it out, and fields that
//! it does not know.

use std::{
    borrow::Cow,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use herald_acl::{TopicFilter, TopicName, Username};
use serde::{Deserialize, Serialize};

use crate::{
    attributes::Attributes,
    ids::{GroupId, SessionId},
    message::Message,
};

/// Names a server, as long as its process runs.
pub(super) type ServerTag = u64;

/// One frame, without its payload.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Frame<'a> {
    /// Something was published to a shared topic.
    #[serde(borrow)]
    Published(Published<'a>),
    /// What the sender's clients want.
    Interests(Interests),
    /// All are to tell their interests: something was missed.
    Ask,
    /// What became of a message of this user.
    Progress {
        /// The host's key of the user: the name may come to be another's.
        user_id: Cow<'a, str>,
        username: Cow<'a, str>,
    },
    /// The same for all who follow anyone's messages.
    ProgressOfAll,
    /// A notification of this user, for those who observe.
    Notified { username: Cow<'a, str> },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Published<'a> {
    topic: Cow<'a, str>,
    #[serde(borrow, flatten)]
    attributes: Attributes<'a>,
    #[serde(default)]
    retain: bool,
    /// When, in milliseconds since 1970 by the clock that all servers go by.
    at: u64,
    /// When it expires, by the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    /// Of each group whose member on another server is to have it: which, and on which server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<(GroupName, ServerTag)>,
    /// It was published before, and is for these groups only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    again: bool,
}

/// A group as servers tell each other of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GroupName {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    filter: String,
}

/// What the clients of a server want.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Interests {
    pub(super) tag: ServerTag,
    /// What was told before does not hold any more.
    #[serde(default)]
    pub(super) anew: bool,
    /// How many members a group has there: with a connection, and without.
    #[serde(default)]
    pub(super) groups: Vec<(GroupName, u32, u32)>,
    #[serde(default)]
    pub(super) copies: Copies,
}

/// Which live copies are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Copies {
    /// Somebody follows what becomes of messages.
    #[serde(default)]
    pub(crate) progress: bool,
    /// Somebody observes the notifications of others.
    #[serde(default)]
    pub(crate) notifications: bool,
}

/// A message from another server.
#[derive(Debug)]
pub(super) struct FromNeighbour {
    pub(super) message: Message,
    pub(super) at: SystemTime,
    pub(super) groups: Vec<(GroupName, ServerTag)>,
    pub(super) again: bool,
}

impl Frame<'_> {
    /// The bytes of a frame with this payload.
    pub(super) fn bytes(&self, payload: &[u8]) -> Bytes {
        let mut bytes = serde_json::to_vec(self).expect("a frame has no maps");
        // JSON has none within.
        bytes.push(b'\n');
        bytes.extend_from_slice(payload);
        bytes.into()
    }
}

/// The frame and its payload; `None` if it is none that is known here.
pub(super) fn parse(bytes: &Bytes) -> Option<(Frame<'_>, Bytes)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let frame = serde_json::from_slice(&bytes[..end]).ok()?;
    Some((frame, bytes.slice(end + 1..)))
}

/// The frame of `message`, published just now. `now` is by the clock that all servers go by.
pub(super) fn published(
    message: &Message,
    now: SystemTime,
    groups: Vec<(GroupName, ServerTag)>,
    again: bool,
) -> Bytes {
    let at = since_1970(now);
    let expires_at = message.expires.map(|expires| {
        let left = expires.saturating_duration_since(Instant::now());
        at.saturating_add(millis(left))
    });
    let published = Published {
        topic: message.topic.as_str().into(),
        attributes: Attributes::of(message.qos, &message.properties),
        retain: message.retain,
        at,
        expires_at,
        groups,
        again,
    };
    Frame::Published(published).bytes(&message.payload)
}

impl Published<'_> {
    /// What was published; `None` if it is no message.
    pub(super) fn message(self, payload: Bytes, now: SystemTime) -> Option<FromNeighbour> {
        let expires = match self.expires_at {
            None => None,
            Some(at) => {
                let left = at.saturating_sub(since_1970(now));
                // What lasts longer than clocks can count lasts for ever.
                Instant::now().checked_add(Duration::from_millis(left))
            }
        };
        Some(FromNeighbour {
            at: UNIX_EPOCH.checked_add(Duration::from_millis(self.at))?,
            groups: self.groups,
            again: self.again,
            message: Message {
                seq: 0,
                topic: TopicName::parse(&*self.topic).ok()?,
                payload,
                qos: self.attributes.qos()?,
                retain: self.retain,
                properties: self.attributes.properties(),
                // No session of this process.
                origin: SessionId::next(),
                expires,
            },
        })
    }
}

impl GroupName {
    pub(super) fn of(id: &GroupId) -> Self {
        Self {
            owner: id.owner.as_ref().map(|owner| owner.as_str().to_owned()),
            filter: id.filter.as_str().to_owned(),
        }
    }

    /// `None` if there can be no such group.
    pub(super) fn id(&self) -> Option<GroupId> {
        let filter = TopicFilter::parse(&self.filter).ok()?;
        let owner = self.owner.as_deref().map(Username::parse);
        Some(GroupId {
            owner: owner.transpose().ok()?,
            shared: filter.shared_filter()?,
            filter,
        })
    }
}

fn since_1970(at: SystemTime) -> u64 {
    millis(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{PublishProperties, Qos};

    fn rich() -> Message {
        Message {
            topic: TopicName::parse("räume/\"1\"").unwrap(),
            payload: Bytes::from_static(b"\n\0{\xff"),
            qos: Qos::ExactlyOnce,
            retain: true,
            properties: PublishProperties {
                utf8: Some(false),
                message_expiry: None,
                content_type: Some("text/plain".into()),
                response_topic: Some("räume/2".into()),
                correlation_data: Some(Bytes::from_static(&[0, 255, b'\n'])),
                user: vec![("k\n".into(), "\"v\\".into())],
            },
            ..Message::sample()
        }
    }

    #[test]
    fn a_message_is_the_same_on_another_server() {
        let (message, now) = (rich(), UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let name = GroupName {
            owner: Some("alice".into()),
            filter: "$share/g/räume/+".into(),
        };
        let bytes = published(&message, now, vec![(name.clone(), 7)], true);
        let (Frame::Published(published), payload) = parse(&bytes).unwrap() else {
            panic!("another frame");
        };
        let mut got = published.message(payload, now).unwrap();
        got.message.origin = message.origin;
        assert_eq!(format!("{:?}", got.message), format!("{message:?}"));
        assert_eq!((got.at, got.again), (now, true));
        assert_eq!(got.groups, [(name.clone(), 7)]);
        assert_eq!(GroupName::of(&name.id().unwrap()), name);
    }

    #[test]
    fn a_message_expires_everywhere_at_the_same_time_whatever_a_machines_clock_says() {
        let (sent, received) = (UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(40));
        let message = Message {
            expires: Message::expiry(Some(60)),
            ..rich()
        };
        let bytes = published(&message, sent, vec![], false);
        let left = |now| {
            let (Frame::Published(published), payload) = parse(&bytes).unwrap() else {
                panic!("another frame");
            };
            let message = published.message(payload, now).unwrap().message;
            (message.expired(), message.properties_now().message_expiry)
        };
        assert_eq!(left(received), (false, Some(20)));
        assert!(left(UNIX_EPOCH + Duration::from_secs(60)).0);
    }

    /// A change here is one that servers of two versions have to bear.
    #[test]
    fn what_another_version_sends_is_read_as_far_as_it_is_known() {
        let read = |text: &str| {
            let bytes = Bytes::from(text.to_owned());
            parse(&bytes).map(|(frame, _)| format!("{frame:?}"))
        };
        assert_eq!(read("\"ask\"\n").as_deref(), Some("Ask"));
        let known = r#"{"interests":{"tag":1,"groups":[[{"filter":"$share/g/x"},1,2]]}}"#;
        let newer = r#"{"interests":{"tag":1,"groups":[[{"filter":"$share/g/x","new":1},1,2]],"copies":{"new":true},"new":{}}}"#;
        let lines = [known, newer].map(|text| read(&format!("{text}\n")).unwrap());
        assert_eq!(lines[0], lines[1]);
        for unknown in ["", "\n", "{}\n", "{\"new\":{}}\n", "\"ask\"", "7\n"] {
            assert_eq!(read(unknown), None, "{unknown}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes: Vec<u8>, text in ".*") {
            parse(&bytes.into());
            let published = format!(r#"{{"published":{{"topic":{text:?},"qos":1,"at":18446744073709551615,"expires_at":18446744073709551615}}}}"#);
            if let Some((Frame::Published(published), payload)) = parse(&format!("{published}\n").into()) {
                published.message(payload, SystemTime::now());
            }
            let name = GroupName { owner: Some(text.clone()), filter: text };
            name.id();
        }
    }
}
