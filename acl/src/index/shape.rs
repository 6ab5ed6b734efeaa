//! How the wildcards of filters compare.

use crate::index::pattern::{Pattern, Step};
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
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| **step == Step::Plus)
            .map(|(at, _)| 1_u128 << at)
            .sum();
        let hash = if pattern.hash {
            pattern.steps.len()
        } else {
            Self::NO_HASH
        };
        Self { plus, hash }
    }

    /// Whether the filter of this shape covers less than one of the shape `other`. Both match one
    /// topic or cover one filter, so that they differ in their wildcards alone.
    pub(crate) fn is_narrower_than(self, other: Self) -> bool {
        other.covers(self) && !self.covers(other)
    }

    fn covers(self, other: Self) -> bool {
        // The `+` of the other that are literal levels here; behind the `#` all are covered.
        let wider = other.plus & !self.plus;
        self.hash <= other.hash && wider.trailing_zeros() as usize >= self.hash
    }
}
