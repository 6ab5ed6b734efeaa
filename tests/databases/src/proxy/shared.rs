//! What a proxy and its connections have in common.

use std::sync::Mutex;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{cut::Cuts, silence::Silence};
use crate::DatabaseKind;

/// What the connections of a proxy share.
pub(super) struct Shared {
    pub(super) kind: DatabaseKind,
    /// The database's.
    pub(super) server: String,
    pub(super) cuts: Cuts,
    /// Whether nothing is passed on.
    pub(super) is_held: watch::Sender<bool>,
    pub(super) silence: Silence,
    /// Ends all connections there are.
    pub(super) end: Mutex<CancellationToken>,
}
