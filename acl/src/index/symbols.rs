//! Numbers for the levels of rules, so that comparing levels is comparing numbers.

use std::collections::{BTreeSet, HashMap};

use crate::index::level::{Names, OpenLevel, Placeholder};

/// The number of a level of rules, literal or open. Equal levels have equal symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Symbol(usize);

/// The levels of all rules of a policy, except wildcards.
#[derive(Debug, Clone, Default)]
pub(crate) struct Symbols {
    symbols: HashMap<Box<str>, Symbol>,
    /// At which bytes of a level there are placeholders: few, even if there are many open levels.
    offsets: BTreeSet<(usize, Placeholder)>,
}

impl Symbols {
    /// The symbol of a literal level, a new one if it had none.
    pub(crate) fn insert_literal(&mut self, text: String) -> Symbol {
        let next = Symbol(self.symbols.len());
        *self.symbols.entry(text.into()).or_insert(next)
    }

    /// The symbol of an open level, a new one if it had none.
    pub(crate) fn insert_open(&mut self, level: &OpenLevel) -> Symbol {
        self.offsets.insert((level.before.len(), level.placeholder));
        self.insert_literal(key(&level.before, level.placeholder, &level.after))
    }

    /// The symbol of the literal level `text`; `None` if no rule has it.
    pub(crate) fn literal(&self, text: &str) -> Option<Symbol> {
        self.symbols.get(text).copied()
    }

    /// The symbols of the open levels that equal `text` once they are filled in.
    pub(crate) fn open(&self, text: &str, names: &Names<'_>) -> impl Iterator<Item = Symbol> {
        self.offsets.iter().filter_map(move |&(at, placeholder)| {
            let (before, rest) = text.split_at_checked(at)?;
            let after = rest.strip_prefix(names.get(placeholder)?)?;
            self.literal(&key(before, placeholder, after))
        })
    }
}

/// The text that stands for an open level. No literal level equals it, as none holds NUL.
fn key(before: &str, placeholder: Placeholder, after: &str) -> String {
    let placeholder = match placeholder {
        Placeholder::User => "\0u",
        Placeholder::Client => "\0c",
    };
    [before, placeholder, after].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::level::Level;

    #[test]
    fn equal_levels_have_one_symbol_and_others_another() {
        let mut symbols = Symbols::default();
        let mut insert = |text: &str| match Level::parse(text) {
            Level::Literal(text) => symbols.insert_literal(text),
            Level::Open(level) => symbols.insert_open(&level),
            _ => panic!("{text} is a wildcard"),
        };
        let levels = ["", "a", "%u", "%c", "a%u", "%ua", "%%u", "a%%u"];
        let numbers = levels.map(&mut insert);
        assert_eq!(levels.map(&mut insert), numbers);
        assert_eq!(BTreeSet::from(numbers).len(), levels.len());
    }

    #[test]
    fn an_open_level_is_the_text_with_the_name_and_no_other() {
        let names = Names {
            user: "bob",
            client: None,
        };
        let is = |level: &str, text: &str| match Level::parse(level) {
            Level::Open(level) => {
                let mut symbols = Symbols::default();
                let symbol = symbols.insert_open(&level);
                let found: Vec<Symbol> = symbols.open(text, &names).collect();
                found == [symbol]
            }
            _ => panic!("{level} is not open"),
        };
        assert!(is("%u", "bob"));
        assert!(is("bo%ubob", "bobobbob"));
        assert!(is("é%u", "ébob"));
        for text in [
            "",
            "bo",
            "bobob",
            "bobbob",
            "bobobobob",
            "xxbobbob",
            "bobobbox",
        ] {
            assert!(!is("bo%ubob", text), "{text:?}");
        }
        // The byte behind which the name would start is inside a character.
        assert!(!is("x%ux", "ébob"));
        for text in ["", "bob", "%c"] {
            assert!(!is("%c", text), "{text:?}");
        }
    }
}
