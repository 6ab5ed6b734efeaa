//! Whatever takes a right away is answered once that is in force everywhere, and the response says if it may not be.

use poem::http::HeaderValue;
use poem_openapi::types::ToHeader;

use crate::{
    fields::described::described,
    options::{AwaitRights, InForce},
};

described! {
    /// Where the change is in force: `everywhere`; `given-up`: not on a server that is cut off, which has ended all its sessions
    /// by itself; `unknown`: a server or the database does not say.
    RightsInForce(String) {
        pattern: Some("^(everywhere|given-up|unknown)$".to_owned()),
    }
}

impl From<InForce> for RightsInForce {
    fn from(reached: InForce) -> Self {
        let text = match reached {
            InForce::Everywhere => "everywhere",
            InForce::GivenUp => "given-up",
            InForce::Unknown => "unknown",
        };
        Self(text.to_owned())
    }
}

impl ToHeader for RightsInForce {
    fn to_header(&self) -> Option<HeaderValue> {
        self.0.to_header()
    }
}

/// Waits for changes of rights.
#[derive(Clone)]
pub(crate) struct Rights(AwaitRights);

impl Rights {
    pub(crate) fn new(wait: AwaitRights) -> Self {
        Self(wait)
    }

    /// Waits until all that was changed is in force everywhere, or cannot be waited for any longer. A caller who goes away ends it.
    pub(crate) async fn in_force(&self) -> RightsInForce {
        (self.0)().await.into()
    }
}
