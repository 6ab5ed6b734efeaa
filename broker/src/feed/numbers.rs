//! A set of numbers that is mostly runs of them.

/// Most runs that are kept. What would be one more is forgotten: then it is delivered once more on the next connection.
pub(super) const RUNS: usize = 256;

/// Runs from a first number to a last, apart and in order.
#[derive(Debug, Default)]
pub(super) struct Numbers(Vec<(i64, i64)>);

impl Numbers {
    /// Adds the numbers from `first` to `last`, unless that makes too many runs.
    pub(super) fn insert(&mut self, first: i64, last: i64) {
        // All runs that touch the new one become one with it.
        let from = self.0.partition_point(|(_, end)| *end < first - 1);
        let to = self
            .0
            .partition_point(|(begin, _)| *begin <= last.saturating_add(1));
        let touched = &self.0[from..to.max(from)];
        let first = touched
            .first()
            .map_or(first, |(begin, _)| first.min(*begin));
        let last = touched.last().map_or(last, |(_, end)| last.max(*end));
        self.0.splice(from..to.max(from), [(first, last)]);
        self.0.truncate(RUNS);
    }

    /// Whether `n` is one of them.
    pub(super) fn contains(&self, n: i64) -> bool {
        self.first_end(n).is_some_and(|(begin, _)| begin <= n)
    }

    /// The last of the numbers that follow `n` without a gap; `n` if there are none.
    pub(super) fn end_of_run(&self, n: i64) -> i64 {
        match self.first_end(n.saturating_add(1)) {
            Some((begin, end)) if begin <= n.saturating_add(1) => end,
            _ => n,
        }
    }

    /// How far one may go behind `n` before there are any: to the number before the first run behind it.
    pub(super) fn first_from(&self, n: i64) -> Option<i64> {
        let (begin, _) = self.first_end(n.saturating_add(1))?;
        Some(begin.max(n.saturating_add(1)) - 1)
    }

    /// Forgets those up to `n`.
    pub(super) fn drop_to(&mut self, n: i64) {
        let to = self.0.partition_point(|(_, end)| *end <= n);
        self.0.drain(..to);
        if let Some((begin, _)) = self.0.first_mut() {
            *begin = n.saturating_add(1).max(*begin);
        }
        if self.0.is_empty() {
            // An idle session holds no buffer.
            self.0 = Vec::new();
        }
    }

    /// The first run that does not end before `n`.
    fn first_end(&self, n: i64) -> Option<(i64, i64)> {
        let at = self.0.partition_point(|(_, end)| *end < n);
        self.0.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(
            steps in prop::collection::vec((any::<bool>(), 1_i64..60, 0_i64..6), 0..40),
        ) {
            let mut numbers = Numbers::default();
            let mut set = BTreeSet::new();
            for (insert, first, length) in steps {
                if insert {
                    numbers.insert(first, first + length);
                    set.extend(first..=first + length);
                } else {
                    numbers.drop_to(first / 4);
                    set.retain(|n| *n > first / 4);
                }
                for n in 0..70 {
                    prop_assert_eq!(numbers.contains(n), set.contains(&n));
                    let end = (n + 1..).find(|m| !set.contains(m)).expect("the set is finite") - 1;
                    prop_assert_eq!(numbers.end_of_run(n), end);
                    let from = set.range(n + 1..).next().map(|m| m - 1);
                    prop_assert_eq!(numbers.first_from(n), from);
                }
            }
        }
    }

    #[test]
    fn the_runs_are_bounded_and_the_oldest_stay() {
        let mut numbers = Numbers::default();
        for n in 0..1000 {
            numbers.insert(2 * n, 2 * n);
        }
        assert_eq!(numbers.0.len(), RUNS);
        assert!(numbers.contains(0) && !numbers.contains(1998));
    }

    #[test]
    fn the_largest_number_is_no_fault() {
        let mut numbers = Numbers::default();
        numbers.insert(1, i64::MAX);
        assert_eq!(numbers.end_of_run(0), i64::MAX);
        assert_eq!(numbers.end_of_run(i64::MAX), i64::MAX);
    }
}
