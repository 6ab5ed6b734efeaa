//! Pages of lists, which are cut by the bytes that their JSON has.

/// Some of a list, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// At least one if there is any.
    pub items: Vec<T>,
    /// There are others after these.
    pub more: bool,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self {
            items: vec![],
            more: false,
        }
    }
}

/// What a list may hold.
pub(crate) trait JsonBytes {
    /// About how many bytes its JSON has: exactly for texts that come from outside, roughly for all else.
    fn json_bytes(&self) -> usize;
}

/// What names, times, numbers and flags of an item take, about.
const FRAME: usize = 512;

/// The bytes of an item that has these texts.
pub(crate) fn item_bytes<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> usize {
    FRAME + texts.into_iter().flatten().map(text_bytes).sum::<usize>()
}

/// How many bytes a text has as a JSON string (RFC 8259 section 7), without the quotes: a control character has six.
fn text_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_counted_as_it_is_written(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(text_bytes(&text) + 2, written.len());
        }

        #[test]
        fn a_control_character_is_counted_as_it_is_written(text in "[\u{0}-\u{1f}\"\\\\\u{7f}]{0,40}") {
            let written = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(text_bytes(&text) + 2, written.len());
        }
    }
}
