//! What matching, covering and overlapping mean in terms of each other, and what a policy promises.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod decisions;
mod edges;
mod filters;
mod policies;
mod reference;
mod universe;
