//! What comes of CONNECT.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{client::Client, guard::SessionGuard};
use crate::{
    state::{SessionState, Will},
    wire::{ConnackProperties, Reason},
};

/// What CONNACK says: the session, or why there is none.
pub(crate) type Admission = Result<(Admitted, ConnackProperties), NotAdmitted>;

/// Why a client is not let in, and the reason string.
pub(crate) type NotAdmitted = (Reason, String);

/// A client that has been let in, and its session.
pub(crate) struct Admitted {
    pub(super) client: Arc<Client>,
    pub(super) state: Box<SessionState>,
    pub(super) guard: SessionGuard,
    pub(super) will: Option<Box<Will>>,
    /// How long the session is to outlive the connection.
    pub(super) expiry: Duration,
    /// When the token that the client logged in with expires.
    pub(super) token_expires: Option<Instant>,
    pub(super) receive_maximum: u16,
}
