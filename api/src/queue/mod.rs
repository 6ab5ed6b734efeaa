//! How the queue goes: how many messages there are, and how fast they end.

mod counts;
mod latencies;
mod throughput;

pub(crate) use counts::Counts;
pub(crate) use latencies::Percentiles;
pub use throughput::Throughput;
