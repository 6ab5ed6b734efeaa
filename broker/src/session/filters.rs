//! SUBSCRIBE and UNSUBSCRIBE packets on their way: their filters may be very many, and others have their turn between.

use std::{num::NonZeroU32, sync::Arc, vec};

use crate::wire::{SubackCode, Subscription, UnsubackCode};

/// A SUBSCRIBE that is being handled.
pub(crate) struct Subscribing {
    pub(super) packet_id: u16,
    pub(super) identifier: Option<NonZeroU32>,
    /// Those that are left.
    pub(super) filters: vec::IntoIter<Subscription>,
    /// Of those that are done.
    pub(super) codes: Vec<SubackCode>,
    /// A filter is for the inbox.
    pub(super) to_inbox: bool,
    /// Behind which notification the inbox begins, if the client says so.
    pub(super) after: Option<i64>,
    /// The epoch of that number, and a reason string.
    pub(super) epoch: Option<(Arc<str>, &'static str)>,
}

/// An UNSUBSCRIBE that is being handled.
pub(crate) struct Unsubscribing {
    pub(super) packet_id: u16,
    /// Those that are left.
    pub(super) filters: vec::IntoIter<String>,
    /// Of those that are done.
    pub(super) codes: Vec<UnsubackCode>,
}
