//! The section `[cluster]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// The longest time for clients to go, in seconds: an hour.
const MAX_DRAIN_S: u32 = 3600;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cluster {
    pub(crate) drain_s: u32,
}

impl Default for Cluster {
    fn default() -> Self {
        Self { drain_s: 10 }
    }
}

impl Cluster {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.drain_s > MAX_DRAIN_S {
            let text = format!("cluster.drain_s: at most {MAX_DRAIN_S}");
            return Err(ConfigError(text));
        }
        Ok(())
    }

    /// How long clients are given to go to other servers.
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_s.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_of_over_an_hour_is_named() {
        let cluster = Cluster { drain_s: 3601 };
        let error = cluster.check().unwrap_err().to_string();
        assert_eq!(error, "cluster.drain_s: at most 3600");
    }
}
