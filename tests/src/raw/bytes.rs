//! The data types that packets are made of (section 1.5), to bytes and from them.

/// Binary data (section 1.5.6).
pub(super) fn binary(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

/// A UTF-8 string (section 1.5.4).
pub(super) fn string(text: &str) -> Vec<u8> {
    binary(text.as_bytes())
}

/// A variable byte integer (section 1.5.5).
pub(super) fn varint(mut value: usize) -> Vec<u8> {
    let mut out = vec![];
    loop {
        let low = u8::try_from(value % 128).unwrap();
        value /= 128;
        if value == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}

/// What is left to read of a packet.
pub(super) struct Rest<'a>(pub(super) &'a [u8]);

impl<'a> Rest<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        taken
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    pub(super) fn binary(&mut self) -> Vec<u8> {
        let length = self.u16().into();
        self.take(length).to_vec()
    }

    pub(super) fn string(&mut self) -> String {
        String::from_utf8(self.binary()).unwrap()
    }

    pub(super) fn varint(&mut self) -> usize {
        let (used, value) = varint_of(self.0).unwrap();
        self.take(used);
        value
    }

    /// The reason code of an acknowledgement, which leaves 0 out.
    pub(super) fn code(&mut self) -> u8 {
        if self.is_empty() { 0 } else { self.byte() }
    }
}

/// Bytes used and value; `None` while it is not complete.
pub(super) fn varint_of(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (i, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((i + 1, value));
        }
    }
    assert!(bytes.len() < 4, "a remaining length has at most 4 bytes");
    None
}
