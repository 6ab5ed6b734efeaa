//! What happens to every request before and after its route.

pub(crate) mod admission;
pub(crate) mod body_limit;
pub(crate) mod caller;
pub(crate) mod cors;
pub(crate) mod from_head;
pub(crate) mod json_shape;
pub(crate) mod origin;
pub(crate) mod problems;
pub(crate) mod requester;
pub(crate) mod security_headers;
pub(crate) mod session;
pub(crate) mod strict;
pub(crate) mod unread;
