//! What the tests of whole sessions share: a broker with hosts in memory, and an encoder that also writes what no
//! client should.

pub(crate) mod encode;
pub(crate) mod hosts;
pub(crate) mod inbox;
