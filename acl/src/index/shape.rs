//! How the wildcards of filters compare.

use crate::index::pattern::{Pattern, PatternLevel};
use crate::topic::MAX_LEVELS;

const _: () = assert!(
    MAX_LEVELS == u128::BITS as usize,
    "a shape has a bit for each level, and as many trailing zeros if none is set"
);

/// Where the wildcards of a filter are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The bit of each level that is a `+`.
    plus: u128,
    /// How many levels are before the `#`; [`NO_HASH`](Self::NO_HASH) if there is none.
    hash: usize,
}

impl Shape {
    const NO_HASH: usize = MAX_LEVELS;

    /// The shape of a pattern.
    pub(crate) fn of(pattern: &Pattern) -> Self {
        let plus = pattern
            .levels
            .iter()
            .enumerate()
            .filter(|(_, level)| **level == PatternLevel::Plus)
            .map(|(at, _)| 1_u128 << at)
            .sum();
        let hash = if pattern.hash {
            pattern.levels.len()
        } else {
            Self::NO_HASH
        };
        Self { plus, hash }
    }

    /// Whether the filter of this shape covers less than one of the shape `other`. Both cover the same
    /// query, so they differ only in their wildcards.
    pub(crate) fn is_narrower_than(self, other: Self) -> bool {
        other.covers(self) && !self.covers(other)
    }

    fn covers(self, other: Self) -> bool {
        // Where the other has a `+` and this a literal level; behind the `#` that does not matter.
        let wider = other.plus & !self.plus;
        self.hash <= other.hash && wider.trailing_zeros() as usize >= self.hash
    }
}
