//! What a packet asks for and takes time: no other packet is handled before it is done.

use futures_util::future::BoxFuture;

use super::{
    filters::{Subscribing, Unsubscribing},
    read::Locating,
    responses::Handled,
};

/// The packet that is being handled.
pub(crate) enum Task {
    /// A PUBLISH is handed on, whose payload takes so many bytes.
    Publish(BoxFuture<'static, Handled>, usize),
    /// Filters are subscribed to, one after the other.
    Subscribe(Box<Subscribing>),
    /// All of them are, and the host is asked where the inbox begins.
    Position(Box<Subscribing>, Locating),
    /// Subscriptions end, one after the other.
    Unsubscribe(Box<Unsubscribing>),
}
