//! What is sent at once: frames under a number.

use std::str::FromStr as _;

use crate::NodeId;

/// What the first word of a bundle is. A node that does not know it leaves the bundle out, and sees a gap.
const VERSION: &str = "1";

/// Most bytes of a bundle: a notification of PostgreSQL has less than 8,000.
const BYTES: usize = 7_900;

/// Most bytes of what stands before the frames: the version, an id of up to 64 bytes, a number, spaces and the end of the line.
const HEADER: usize = 96;

/// Most bytes of what stands before a frame: its length.
const LENGTH: usize = 5;

/// Most bytes of a frame.
pub(super) const FRAME: usize = BYTES - HEADER - LENGTH;

/// How many frames wait at most to be sent, or to be read, and of how many bytes.
pub(super) const WAITING: usize = 16_384;
pub(super) const WAITING_BYTES: usize = 4 * 1024 * 1024;

/// Frames of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bundle {
    /// Whose.
    pub(super) node: NodeId,
    /// One more than that of the last bundle of this node, unless something was not sent.
    pub(super) number: i64,
    /// There may be none: then it says only that nothing is missing.
    pub(super) frames: Vec<String>,
}

impl Bundle {
    /// The bundle as text.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{VERSION} {} {}\n", self.node, self.number);
        for frame in &self.frames {
            text += &format!("{}:{frame}", frame.len());
        }
        text
    }

    /// Reads what [`text`](Self::text) wrote; `None` if it is something else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (header, mut rest) = text.split_once('\n')?;
        let mut words = header.split(' ');
        let (version, node, number) = (words.next()?, words.next()?, words.next()?);
        if version != VERSION || node.is_empty() || words.next().is_some() {
            return None;
        }
        let mut frames = vec![];
        while !rest.is_empty() {
            let (length, behind) = rest.split_once(':')?;
            let (frame, behind) = behind.split_at_checked(usize::from_str(length).ok()?)?;
            frames.push(frame.to_owned());
            rest = behind;
        }
        Some(Self {
            node: NodeId::from_string(node),
            number: i64::from_str(number).ok()?,
            frames,
        })
    }
}

/// How many of `frames`, which have these lengths, go into the next bundle.
pub(super) fn fit(frames: impl Iterator<Item = usize>) -> usize {
    let mut left = BYTES - HEADER;
    let fits = |length: &usize| {
        let room = left.checked_sub(LENGTH + length);
        left = room.unwrap_or(0);
        room.is_some()
    };
    frames.take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bundle(frames: Vec<String>) -> Bundle {
        let node = NodeId::new();
        Bundle {
            node,
            number: i64::MAX,
            frames,
        }
    }

    #[test]
    fn the_largest_bundle_is_smaller_than_a_notification_may_be() {
        let frames = vec!["x".repeat(FRAME)];
        assert_eq!(fit(frames.iter().map(String::len)), 1);
        assert!(bundle(frames).text().len() <= BYTES);
        let frames = vec![String::new(); BYTES];
        let fit = fit(frames.iter().map(String::len));
        assert!(bundle(frames[..fit].to_vec()).text().len() <= BYTES);
        assert!(fit > 1000);
    }

    #[test]
    fn what_is_no_bundle_is_none() {
        for text in [
            "",
            "1 a 1",
            "2 a 1\n",
            "1 a 1 1\n",
            "1  1\n",
            "1 a b\n",
            "1 a 1\n5",
            "1 a 1\n5:four",
            "1 a 1\n-1:x",
            "1 a 1\n1:ä",
            "1 a 1\n99999999999999999999:x",
        ] {
            assert_eq!(Bundle::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(frames in prop::collection::vec("\\PC*|[0-9:\n]*", 0..9)) {
            let bundle = bundle(frames);
            prop_assert_eq!(Bundle::parse(&bundle.text()), Some(bundle));
        }

        #[test]
        fn nothing_makes_it_panic(text in "(1 [a-z]* [0-9]*\n)?([0-9]{0,2}:?.?){0,5}") {
            if let Some(bundle) = Bundle::parse(&text) {
                prop_assert_eq!(Bundle::parse(&bundle.text()), Some(bundle));
            }
        }
    }
}
