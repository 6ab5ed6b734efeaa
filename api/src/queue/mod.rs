//! How the queue goes: how fast messages end.

mod latencies;
mod throughput;

pub(crate) use latencies::Percentiles;
pub use throughput::Throughput;
