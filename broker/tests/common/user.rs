//! User properties (MQTT 5 section 3.3.2.3.7).

use crate::common::encode::data;

/// A user property.
pub(crate) fn user(key: &str, value: &str) -> Vec<u8> {
    [vec![0x26], data(key), data(value)].concat()
}
