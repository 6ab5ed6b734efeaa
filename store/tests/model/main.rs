//! Random steps, taken by the store and by a model of it: after each of them, both hold the same.
//!
//! `PROPTEST_CASES` says how many runs there are, 256 if it is not set, and on a server an eighth of that.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checks;
mod database;
mod inbox;
mod model;
mod steps;
mod tables;
mod world;

use herald_test_databases::DatabaseKind;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rstest::rstest;

use crate::steps::Action;
use crate::world::World;

/// On a server one run takes so many times as long as on a file.
const SLOWER: u32 = 8;

#[rstest]
fn the_store_does_what_the_model_does(
    #[values(
        DatabaseKind::Sqlite,
        DatabaseKind::Postgres,
        DatabaseKind::MariaDb,
        DatabaseKind::MySql
    )]
    kind: DatabaseKind,
) {
    if !kind.is_chosen() {
        return;
    }
    let defaults = ProptestConfig::default();
    let cases = match kind {
        DatabaseKind::Sqlite => defaults.cases,
        _ => defaults.cases.div_ceil(SLOWER),
    };
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..defaults
    });
    let steps = prop::collection::vec(Action::any(), 1..40);
    let ran = runner.run(&steps, |steps| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(run(kind, steps));
        Ok(())
    });
    if let Err(error) = ran {
        panic!("{error}\n{runner}");
    }
}

async fn run(kind: DatabaseKind, steps: Vec<Action>) {
    let mut world = World::new(kind).await;
    for step in steps {
        world.take(step).await;
        world.compare().await;
    }
    world.drain().await;
    world.end().await;
}
