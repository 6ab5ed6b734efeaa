//! Text that others chose, on a terminal: nothing in it moves the cursor, starts a line or turns its direction around.

/// `text` within a line: what does not show as itself is escaped, ends of lines and tabs among them.
pub(crate) fn shown(text: &str) -> String {
    escaped(text, |c| c.is_control())
}

/// Lines that hold such text: the same, but for the ends of lines and tabs that are theirs.
pub(crate) fn shown_line(line: &str) -> String {
    escaped(line, |c| c.is_control() && c != '\n' && c != '\t')
}

fn escaped(text: &str, control: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if control(c) || is_invisible(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Characters that change how others show, or do not show at all: separators of lines and paragraphs, directions (Unicode
/// Standard Annex 9), joiners and the like, and tags.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_the_line_is_escaped_and_the_rest_is_not() {
        assert_eq!(shown("Grüße, 日本 🎉"), "Grüße, 日本 🎉");
        let text = "a\u{202e}b\u{2066}c\u{2028}d\u{1b}[2Je\nf\u{9b}g\u{200f}\t";
        let escaped = r"a\u{202e}b\u{2066}c\u{2028}d\u{1b}[2Je\u{a}f\u{9b}g\u{200f}\u{9}";
        assert_eq!(shown(text), escaped);
        assert_eq!(
            shown_line("a\tb\nc\u{202e}\r"),
            r"a	b
c\u{202e}\u{d}"
        );
    }
}
