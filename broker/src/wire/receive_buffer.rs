//! Bytes that were received and are not parsed yet.

/// The bytes that are not parsed yet, behind those that were since the last read.
#[derive(Default)]
pub(super) struct ReceiveBuffer {
    bytes: Vec<u8>,
    parsed: usize,
}

impl ReceiveBuffer {
    /// Adds what was read, and forgets what is parsed: also of a client whose reads never end with a packet.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.parsed));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parsed_is_not_kept_when_a_rest_never_ends() {
        let mut buffer = ReceiveBuffer::default();
        buffer.push(&[0]);
        for _ in 0..1000 {
            buffer.push(&[0; 64]);
            buffer = buffer.advance(64);
            assert_eq!(buffer.unparsed(), [0]);
        }
        assert!(buffer.bytes.len() <= 65, "{}", buffer.bytes.len());
    }
}
