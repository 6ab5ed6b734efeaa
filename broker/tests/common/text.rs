//! Properties whose values are text or bytes.

use crate::common::encode::data;

/// A property whose value is a string or binary data.
pub(crate) fn prop(id: u8, value: impl AsRef<[u8]>) -> Vec<u8> {
    [vec![id], data(value)].concat()
}
