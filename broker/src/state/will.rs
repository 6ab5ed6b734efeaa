//! The will: what is published for a client whose connection ended without a word.

use std::time::Duration;

use crate::{
    owners::WrittenWill,
    wire::{self, Publish},
};

/// A will that CONNECT gave.
pub(crate) struct Will {
    /// After the connection ended; a client that is back by then has not gone (MQTT 5 section 3.1.3.2.2).
    pub(crate) delay: Duration,
    pub(crate) publish: Publish,
    /// Where there are several servers.
    pub(crate) written: Option<WrittenWill>,
}

impl From<&wire::Will> for Will {
    fn from(will: &wire::Will) -> Self {
        Self {
            delay: Duration::from_secs(will.delay.into()),
            publish: Publish {
                packet_id: None,
                topic: will.topic.clone(),
                payload: will.payload.clone(),
                qos: will.qos,
                retain: will.retain,
                properties: will.properties.clone(),
            },
            written: None,
        }
    }
}
