//! Splits the binary messages of a WebSocket as their bytes come (RFC 6455 section 5.2).
//!
//! tungstenite keeps a message until its last frame is whole. To MQTT a message is no more than a chunk of a stream, so each
//! frame becomes messages of at most [`PIECE`] bytes. All else is left as it is, for tungstenite to respond to or refuse.

use std::{collections::VecDeque, io, mem};

use bytes::Buf as _;
use tokio::io::ReadBuf;

/// The longest message that is made, in bytes: a multiple of the mask's length, so that one mask fits all pieces of a frame.
pub(super) const PIECE: usize = 4 * 1024;

/// Of the first byte of a head: no more frames of the message follow.
const FIN: u8 = 0x80;

/// The rest of the first byte, with no reserved bit set: the first frame of a binary message, and any that follows it.
const BINARY: u8 = 0x02;
const CONTINUATION: u8 = 0x00;

/// Of the second byte: the payload is masked.
const MASKED: u8 = 0x80;

/// Where in a frame the bytes are.
#[derive(Default)]
pub(super) struct FrameSplitter {
    /// What has come of the head of a frame.
    head: Vec<u8>,
    /// What is to be handed over of the head of a piece.
    piece_head: VecDeque<u8>,
    /// Bytes of the payload that the piece still has, and those of the frame that come after the piece.
    piece: u64,
    after: u64,
    mask: [u8; 4],
    /// Whether more frames of a binary message are to come.
    is_in_message: bool,
}

impl FrameSplitter {
    /// Moves what it can from `input` to `output`, and returns how much of `input` is used. Anything that is left has no room.
    pub(super) fn split(&mut self, input: &[u8], output: &mut ReadBuf<'_>) -> io::Result<usize> {
        let mut left = input;
        while output.remaining() > 0 {
            if self.has_head() {
                let (head, _) = self.piece_head.as_slices();
                let length = head.len().min(output.remaining());
                output.put_slice(&head[..length]);
                self.piece_head.advance(length);
            } else if left.is_empty() {
                break;
            } else if self.piece > 0 {
                let most = left.len().min(output.remaining());
                let length = usize::try_from(self.piece).map_or(most, |piece| piece.min(most));
                output.put_slice(&left[..length]);
                left = &left[length..];
                self.piece -= length as u64;
            } else if self.after > 0 {
                self.begin_piece();
            } else {
                self.head.push(left[0]);
                left = &left[1..];
                if self.head.len() == head_length(&self.head) {
                    self.begin_frame()?;
                }
            }
        }
        Ok(input.len() - left.len())
    }

    /// Whether there is something to hand over without more input.
    pub(super) fn has_head(&self) -> bool {
        !self.piece_head.is_empty()
    }

    fn begin_frame(&mut self) -> io::Result<()> {
        let head = mem::take(&mut self.head);
        let length = payload_length(&head);
        let is_last = head[0] & FIN != 0;
        let is_data = match (head[0] & !FIN, self.is_in_message) {
            (BINARY, true) => {
                let error = "a WebSocket message within another";
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            (BINARY, false) | (CONTINUATION, true) => true,
            _ => false,
        };
        match head.last_chunk() {
            Some(mask) if is_data && head[1] & MASKED != 0 => {
                self.is_in_message = !is_last;
                self.mask = *mask;
                self.after = length;
                self.begin_piece();
            }
            _ => {
                self.piece = length;
                self.piece_head.extend(head);
            }
        }
        Ok(())
    }

    fn begin_piece(&mut self) {
        self.piece = self.after.min(PIECE as u64);
        self.after -= self.piece;
        self.piece_head.push_back(FIN | BINARY);
        if self.piece < 126 {
            self.piece_head.push_back(MASKED | self.piece as u8);
        } else {
            self.piece_head.push_back(MASKED | 126);
            self.piece_head.extend((self.piece as u16).to_be_bytes());
        }
        self.piece_head.extend(self.mask);
    }
}

/// How long the head that begins with `head` is, by what is there of it.
fn head_length(head: &[u8]) -> usize {
    let Some(second) = head.get(1) else {
        return 2;
    };
    let extended = match second & !MASKED {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if second & MASKED != 0 { 4 } else { 0 };
    2 + extended + mask
}

/// The length of the payload, by a whole head.
fn payload_length(head: &[u8]) -> u64 {
    let extended = match head[1] & !MASKED {
        126 => &head[2..4],
        127 => &head[2..10],
        length => return length.into(),
    };
    extended
        .iter()
        .fold(0, |length, byte| length << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
