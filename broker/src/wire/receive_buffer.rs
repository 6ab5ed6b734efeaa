//! Bytes that were received and are not parsed yet.

/// The bytes that are not parsed yet, behind those that are.
#[derive(Default)]
pub(super) struct ReceiveBuffer {
    bytes: Vec<u8>,
    parsed: usize,
}

impl ReceiveBuffer {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn unparsed(&self) -> &[u8] {
        &self.bytes[self.parsed..]
    }

    /// The buffer without the first `parsed` of the unparsed bytes. It holds no memory when nothing is left.
    pub(super) fn advance(mut self, parsed: usize) -> Self {
        self.parsed += parsed;
        if self.unparsed().is_empty() {
            return Self::default();
        }
        self
    }
}
