//! A running API and those who call it.

mod call;
mod herald;
mod users;

pub(crate) use call::{Answer, Call};
pub(crate) use herald::{Herald, PASSWORD};
pub(crate) use users::Browser;
