//! What bounds what one user, one address and all of them may have.

pub(crate) mod address;
pub(crate) mod budget;
pub(crate) mod keyed_semaphore;
pub(crate) mod list_reads;
pub(crate) mod rate_limit;
pub(crate) mod requests;
