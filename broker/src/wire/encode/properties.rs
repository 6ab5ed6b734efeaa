//! Properties of MQTT 5.

use mqtt_protocol_core::mqtt::packet::{Property, ReasonString};

use crate::wire::connection::Wire;

/// More than all else takes in a packet with a reason string.
const AROUND_REASON: usize = 32;

/// A property whose value the server made itself, or that came from a packet that was parsed: always well-formed.
pub(super) fn property<T: Into<Property>, E>(made: Result<T, E>) -> Option<Property> {
    made.ok().map(Into::into)
}

impl Wire {
    /// Reason strings go only to clients that want them, and where they fit (MQTT 5 section 3.4.2.2.2).
    pub(super) fn reason_string(&self, text: &str) -> Vec<Property> {
        let fits = text.len() + AROUND_REASON <= self.peer_packet_bytes as usize;
        if text.is_empty() || !self.problem_information || !fits {
            return vec![];
        }
        property(ReasonString::new(text)).into_iter().collect()
    }
}
