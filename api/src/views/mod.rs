//! What several operations take and return, as clients see it.

pub(crate) mod by_mode;
pub(crate) mod delay;
pub(crate) mod message;
pub(crate) mod page;
pub(crate) mod rule;
pub(crate) mod user;
