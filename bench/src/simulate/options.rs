//! How many there are of what.

use clap::Args;

/// What is simulated.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Users, all of them connected.
    #[arg(long, default_value_t = 1_000_000)]
    pub(super) users: u32,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(2..=250))]
    pub(super) nodes: u16,
    /// Messages that are finished each second, by any node, of any user.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) rate: u32,
    /// What chance begins with: the same events for the same number.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
}
