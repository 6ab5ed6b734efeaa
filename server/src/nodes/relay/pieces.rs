//! A frame as texts that are no longer than the channel between servers takes them, and the way back.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use herald_store::{NodeChannel, NodeId};

/// Most bytes of what stands before a piece: three numbers.
const HEADER: usize = 64;

/// Most bytes of a frame: somewhat more than the largest packet of MQTT may have with its topic and properties.
pub(super) const FRAME: usize = 4 * 1024 * 1024;

/// How many servers may be amid a frame.
const SERVERS: usize = 256;

/// The pieces of the frame with this number.
pub(super) fn pieces(number: u64, frame: &[u8]) -> Vec<String> {
    let text = STANDARD_NO_PAD.encode(frame);
    let bytes = text.as_bytes();
    let count = bytes.len().div_ceil(NodeChannel::FRAME - HEADER).max(1);
    let size = bytes.len().div_ceil(count).max(1);
    let piece = |at: usize| {
        let from = (at * size).min(text.len());
        let to = (from + size).min(text.len());
        // Base64 is ASCII.
        format!("{number} {at} {count}:{}", &text[from..to])
    };
    (0..count).map(piece).collect()
}

/// Frames of which some pieces have come.
#[derive(Default)]
pub(super) struct Pieces(HashMap<NodeId, Begun>);

struct Begun {
    number: u64,
    /// How many pieces have come, and how many there are.
    came: usize,
    count: usize,
    text: String,
}

impl Pieces {
    /// Takes a piece. Returns the frame if it was the last one, and none before was missing.
    pub(super) fn take(&mut self, from: &NodeId, piece: &str) -> Option<Bytes> {
        let begun = self.0.remove(from);
        let (header, text) = piece.split_once(':')?;
        let mut numbers = header.split(' ');
        let number = numbers.next()?.parse().ok()?;
        let at: usize = numbers.next()?.parse().ok()?;
        let count = numbers.next()?.parse().ok()?;
        let mut begun = match begun {
            _ if at == 0 => Begun {
                number,
                came: 0,
                count,
                text: String::new(),
            },
            Some(begun) if (begun.number, begun.came, begun.count) == (number, at, count) => begun,
            _ => return None,
        };
        begun.text += text;
        begun.came += 1;
        if begun.came == begun.count {
            return STANDARD_NO_PAD.decode(begun.text).ok().map(Bytes::from);
        }
        let has_room = begun.text.len() <= 2 * FRAME && self.0.len() < SERVERS;
        if has_room && begun.came < begun.count {
            self.0.insert(from.clone(), begun);
        }
        None
    }

    /// Forgets what was begun of servers that are gone.
    pub(super) fn retain(&mut self, servers: &[NodeId]) {
        self.0.retain(|server, _| servers.contains(server));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_put_together_again_whatever_its_size() {
        let (mut all, from) = (Pieces::default(), NodeId::new());
        for size in [0, 1, 2, 3, 5_700, 5_900, 6_000, 100_000, FRAME] {
            let frame: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let pieces = pieces(size as u64, &frame);
            assert!(pieces.iter().all(|piece| piece.len() <= NodeChannel::FRAME));
            assert_eq!(pieces.len() > 1, size > 5_800, "{size}");
            let got: Vec<_> = pieces.iter().map(|piece| all.take(&from, piece)).collect();
            let (last, before) = got.split_last().unwrap();
            assert!(before.iter().all(Option::is_none));
            assert_eq!(last.as_deref(), Some(&*frame));
        }
        assert!(all.0.is_empty());
    }

    #[test]
    fn a_frame_of_which_a_piece_is_missing_never_comes_and_harms_no_other() {
        let (mut all, ann, bob) = (Pieces::default(), NodeId::new(), NodeId::new());
        let [one, two] = [1, 2].map(|number| pieces(number, &[number as u8; 20_000]));
        assert_eq!(one.len(), 4);
        for missing in 0..one.len() {
            for (at, piece) in one.iter().enumerate().filter(|(at, _)| *at != missing) {
                assert_eq!(all.take(&ann, piece), None, "{at} without {missing}");
            }
            let mut got = None;
            for piece in &two {
                assert_eq!(all.take(&bob, &one[0]), None);
                got = all.take(&ann, piece);
            }
            assert_eq!(got.as_deref(), Some(&[2; 20_000][..]));
        }
        // Of two frames, or twice.
        all.take(&ann, &one[0]);
        assert_eq!(all.take(&ann, &two[1]), None);
        all.take(&ann, &one[0]);
        all.take(&ann, &one[1]);
        assert_eq!(all.take(&ann, &one[1]), None);
        assert_eq!(all.take(&ann, &one[2]), None);
        all.retain(&[]);
        assert!(all.0.is_empty());
    }

    #[test]
    fn what_is_no_piece_is_none() {
        let (mut all, from) = (Pieces::default(), NodeId::new());
        for text in [
            "", ":", "1 0 1", "1 0:", "a 0 1:", "1 1 1:", "1 0 1:?", "1 0 0:", "1 -1 1:",
        ] {
            assert_eq!(all.take(&from, text), None, "{text}");
        }
        let endless = format!("1 0 {}:{}", usize::MAX, "x".repeat(100));
        assert_eq!(all.take(&from, &endless), None);
    }
}
