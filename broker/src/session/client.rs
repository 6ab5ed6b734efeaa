//! Who a session belongs to.

use std::sync::Arc;

use herald_acl::Who;

use crate::{bus::SessionId, host::Identity};

/// A client that has logged in.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(super) identity: Identity,
    /// The client id.
    pub(super) id: Arc<str>,
    pub(super) session: SessionId,
}

impl Client {
    /// Whom the ACL is asked about.
    pub(super) fn who(&self) -> Who<'_> {
        Who {
            username: &self.identity.username,
            role: self.identity.role,
            client_id: &self.id,
        }
    }
}
