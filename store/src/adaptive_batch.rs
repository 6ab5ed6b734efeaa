//! Large deletions, in steps that no other write has to wait for.

use std::time::Duration;

/// The rest after a step, in multiples of the time that the step took.
const REST: u32 = 4;

/// How many rows a step deletes: as many as take about [`AdaptiveBatch::GOAL`], whatever the disk and the rows.
#[derive(Debug)]
pub(crate) struct AdaptiveBatch {
    rows: usize,
}

impl AdaptiveBatch {
    /// A step that takes longer was too large.
    const GOAL: Duration = Duration::from_millis(5);

    const MAX_ROWS: usize = 1024;

    /// How many rows the next step may have.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The last step took so long: rests for some times as long.
    pub(crate) async fn rest(&mut self, took: Duration) {
        self.took(took);
        tokio::time::sleep(took * REST).await;
    }

    fn took(&mut self, took: Duration) {
        self.rows = if took > Self::GOAL {
            self.rows / 2
        } else if took < Self::GOAL / 3 {
            // Twice as many take less than the goal, also if they are slower.
            self.rows * 2
        } else {
            self.rows
        };
        self.rows = self.rows.clamp(1, Self::MAX_ROWS);
    }
}

impl Default for AdaptiveBatch {
    fn default() -> Self {
        Self { rows: 8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of steps when each row takes so long.
    fn steps(batch: &mut AdaptiveBatch, row: Duration, count: usize) -> Vec<usize> {
        let mut sizes = vec![];
        for _ in 0..count {
            sizes.push(batch.rows());
            batch.took(row * batch.rows() as u32);
        }
        sizes
    }

    #[test]
    fn steps_grow_until_they_take_long_enough() {
        let mut batch = AdaptiveBatch::default();
        let row = Duration::from_micros(20);
        assert_eq!(steps(&mut batch, row, 6), [8, 16, 32, 64, 128, 128]);
    }

    #[test]
    fn a_step_after_one_that_took_too_long_is_half_as_large_down_to_one_row() {
        let mut batch = AdaptiveBatch { rows: 128 };
        let row = Duration::from_millis(2);
        assert_eq!(steps(&mut batch, row, 8), [128, 64, 32, 16, 8, 4, 2, 2]);
        assert_eq!(steps(&mut batch, row * 10, 3), [2, 1, 1]);
    }

    #[test]
    fn no_step_is_larger_than_the_largest_however_fast_it_is() {
        let mut batch = AdaptiveBatch::default();
        let sizes = steps(&mut batch, Duration::ZERO, 20);
        assert_eq!(sizes.last(), Some(&AdaptiveBatch::MAX_ROWS));
    }

    #[test]
    fn whatever_a_row_costs_steps_settle_at_no_more_than_the_goal() {
        for micros in (1..5000).step_by(7) {
            let mut batch = AdaptiveBatch::default();
            let row = Duration::from_micros(micros);
            steps(&mut batch, row, 20);
            let settled = steps(&mut batch, row, 20);
            assert!(
                settled
                    .iter()
                    .all(|rows| row * *rows as u32 <= AdaptiveBatch::GOAL),
                "{micros} us"
            );
        }
    }
}
