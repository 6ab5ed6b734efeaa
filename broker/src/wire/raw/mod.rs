//! Packets as bytes: what has to be checked, changed or counted before the core parses them.

pub(super) mod acks;
pub(super) mod alias_maximum;
pub(super) mod connect;
pub(super) mod filters;
pub(super) mod items;
pub(super) mod length;
pub(super) mod start;
