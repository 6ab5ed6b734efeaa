//! What the session sends, as packets of the client's version.

mod acks;
mod connect;
mod disconnect;
mod properties;
mod publish;
mod subscribe;

pub(crate) use connect::ConnackProperties;
pub(crate) use publish::Outgoing;
