//! The form in which level and properties of a message are written down and told to other servers: JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::wire::{PublishProperties, Qos};

/// Level and properties of a message. What is not set is left out, and what is unknown is passed over, so that they can
/// be read by other versions.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Attributes<'a> {
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

impl<'a> Attributes<'a> {
    /// When the message expires is not among them.
    pub(crate) fn of(qos: Qos, p: &'a PublishProperties) -> Self {
        Self {
            qos: qos as u8,
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

    /// `None` for a level that there is not.
    pub(crate) fn qos(&self) -> Option<Qos> {
        [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce]
            .into_iter()
            .find(|qos| *qos as u8 == self.qos)
    }

    /// Without an expiry.
    pub(crate) fn properties(self) -> PublishProperties {
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
