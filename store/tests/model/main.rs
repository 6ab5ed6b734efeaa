//! Random steps, taken by the store and by a model of it: after each of them, both hold the same.
//!
//! `PROPTEST_CASES` says how many runs there are, 256 if it is not set.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checks;
mod inbox;
mod model;
mod steps;
mod tables;
mod world;

use proptest::prelude::*;

use crate::steps::Action;
use crate::world::World;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_model_does(steps in prop::collection::vec(Action::any(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in steps {
                world.take(step).await;
                world.compare().await;
            }
            world.drain().await;
            world.end().await;
        });
    }
}
