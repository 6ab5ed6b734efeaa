//! What was received and is not parsed yet.

/// The bytes that are not parsed yet, behind those that are.
#[derive(Default)]
pub(super) struct Unread {
    bytes: Vec<u8>,
    parsed: usize,
}

impl Unread {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.parsed..]
    }

    /// What is left once the first `parsed` bytes are. An idle session holds no buffer.
    pub(super) fn behind(mut self, parsed: usize) -> Self {
        self.parsed += parsed;
        if self.bytes().is_empty() {
            return Self::default();
        }
        self
    }
}
