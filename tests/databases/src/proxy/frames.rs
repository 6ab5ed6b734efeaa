//! Both protocols are frames: a header that has the length, and the rest.

use std::io::{self, Error};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A longer frame is a fault of the test, in bytes.
const LONGEST: usize = 64 << 20;

/// How a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// PostgreSQL's first message: a length that counts itself.
    First,
    /// PostgreSQL: a type, then a length that counts itself.
    Typed,
    /// MySQL: a length of three bytes, little-endian, which does not count the header, and a number.
    MySql,
}

impl Header {
    fn length(self) -> usize {
        match self {
            Self::First | Self::MySql => 4,
            Self::Typed => 5,
        }
    }

    /// How many bytes follow this header.
    fn rest(self, header: &[u8]) -> Option<usize> {
        let big = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
        };
        match self {
            Self::First => big(header).checked_sub(4),
            Self::Typed => big(&header[1..]).checked_sub(4),
            Self::MySql => Some(
                header[..3]
                    .iter()
                    .rfold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            ),
        }
    }

    /// The next frame, with its header; `None` at the end of the stream.
    pub(super) async fn read(
        self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Option<Vec<u8>>> {
        let mut frame = vec![0; self.length()];
        let first = stream.read(&mut frame).await?;
        if first == 0 {
            return Ok(None);
        }
        stream.read_exact(&mut frame[first..]).await?;
        let rest = self.rest(&frame).filter(|rest| *rest <= LONGEST);
        let rest = rest.ok_or_else(|| Error::other("this is no frame"))?;
        frame.resize(self.length() + rest, 0);
        let header = self.length();
        stream.read_exact(&mut frame[header..]).await?;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_what_their_headers_say() {
        for (header, frame) in [
            (Header::First, &b"\0\0\0\x06ab"[..]),
            (Header::Typed, b"Q\0\0\0\x06ab"),
            (Header::MySql, b"\x02\0\0\x09ab"),
        ] {
            let stream = [frame, frame, b"x"].concat();
            let mut stream = stream.as_slice();
            for _ in 0..2 {
                let read = header.read(&mut stream).await.unwrap().unwrap();
                assert_eq!(read, frame);
            }
            header.read(&mut stream).await.unwrap_err();
            assert_eq!(header.read(&mut stream).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn what_is_no_frame_is_an_error() {
        for (header, bytes) in [
            (Header::First, &b"\0\0\0\x03"[..]),
            (Header::Typed, b"Q\0\0\0\x03"),
            (Header::Typed, b"Q\xff\0\0\0"),
        ] {
            let mut bytes = bytes;
            header.read(&mut bytes).await.unwrap_err();
        }
    }
}
