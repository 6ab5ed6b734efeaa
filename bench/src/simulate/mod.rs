//! Very many users on many nodes: what these tell each other, and look for in the database. Events by a clock of their own, without
//! sockets and a database; what is packed, sent, missed, and when it is looked for is decided by the code that the server runs.

mod counts;
mod events;
mod hearing;
mod node;
mod options;
mod plan;
mod times;
mod world;

use std::time::Instant;

use anyhow::bail;

use crate::figures::percentile;
use counts::{Counts, Limits};
pub(crate) use options::Options;
use plan::LENGTH_S;
use world::World;

/// Simulates, prints what came of it, and fails if a bound was broken.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let start = Instant::now();
    let counts = simulate(options);
    print(options, &counts);
    println!(
        "\n{LENGTH_S} s were simulated in {:.0} s",
        start.elapsed().as_secs_f64()
    );
    let broken = Limits::of(options).broken_by(&counts);
    if !broken.is_empty() {
        bail!("bounds are broken:\n{}", broken.join("\n"));
    }
    println!("all bounds hold");
    Ok(())
}

fn simulate(options: &Options) -> Counts {
    let mut world = World::new(options);
    world.run();
    world.into_counts()
}

fn print(options: &Options, counts: &Counts) {
    println!(
        "{} users on {} nodes, {} messages a second, seed {}\n",
        options.users, options.nodes, options.rate, options.seed
    );
    println!(
        "{:<42} {:>10} {:>10} {:>10} {:>12} {:>10} {:>10} {:>10} {:>10}",
        "the most in any second, while",
        "hints",
        "bundles",
        "handed out",
        "inbox reads",
        "looks",
        "rows",
        "told",
        "beats"
    );
    for phase in &counts.phases {
        let most = counts.most(phase);
        println!(
            "{:<42} {:>10} {:>10} {:>10} {:>12} {:>10} {:>10} {:>10} {:>10}",
            phase.name,
            most.hints_a_node,
            most.bundles,
            most.handed_out,
            most.reads,
            most.looks,
            most.rows,
            most.told,
            most.beats
        );
    }
    println!(
        "\nhints: read by one node; bundles: sent by all, handed out: to all; inbox reads: statements of all nodes for \
         notifications of others; looks: at the inboxes of all who are connected to a node, rows: of these; told: sessions \
         after a look; beats: of leases and of the channel"
    );
    let mut late = counts.late_ms.clone();
    println!(
        "from a commit to the session on another node: p50 {:.1} ms, p99 {:.1} ms, max {:.0} ms",
        percentile(&mut late, 0.5),
        percentile(&mut late, 0.99),
        percentile(&mut late, 1.0)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(nodes: u16, seed: u64) -> Options {
        Options {
            users: 2_000,
            nodes,
            rate: 100,
            seed,
        }
    }

    #[test]
    fn bounds_hold_for_few_nodes_and_for_many() {
        for options in [small(2, 1), small(3, 2), small(24, 3)] {
            let broken = Limits::of(&options).broken_by(&simulate(&options));
            assert_eq!(broken, Vec::<String>::new(), "{options:?}");
        }
    }

    #[test]
    fn chance_is_the_same_again() {
        let options = small(3, 7);
        let (one, again) = (simulate(&options), simulate(&options));
        assert_eq!(one.seconds, again.seconds);
        assert_eq!(one.late_ms, again.late_ms);
        assert_ne!(one.seconds, simulate(&small(3, 8)).seconds);
    }

    #[test]
    fn what_is_more_than_a_bound_is_said() {
        let options = small(3, 1);
        let limits = Limits::of(&options);
        let right = simulate(&options);
        let broken = |change: fn(&mut Counts)| {
            let mut counts = right.clone();
            change(&mut counts);
            limits.broken_by(&counts).len()
        };
        assert_eq!(broken(|_| {}), 0);
        assert_eq!(broken(|counts| counts.left_behind = 1), 1);
        assert_eq!(broken(|counts| counts.late_ms.push(60_000.0)), 1);
        assert_eq!(broken(|counts| counts.hints_twice = 1), 1);
        assert_eq!(broken(|counts| counts.looks_too_soon = 1), 1);
        let flood = |counts: &mut Counts| counts.seconds[50].handed_out = u64::MAX;
        assert_eq!(broken(flood), 1);
    }
}
