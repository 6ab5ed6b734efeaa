//! The section `[auth]`.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Registration {
    Closed,
    Open,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    pub(crate) registration: Registration,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            registration: Registration::Closed,
        }
    }
}
